from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("builds", "0002_initial")]

    operations = [
        migrations.AddField(
            model_name="logmark", name="offset", field=models.BigIntegerField(default=0), preserve_default=False
        )
    ]
