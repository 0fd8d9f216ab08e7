import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("permissions", "0002_people_hardening"),
    ]

    operations = [
        migrations.AlterField(
            model_name="signedin",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE,
                related_name="signed_in",
                to=settings.AUTH_USER_MODEL,
                verbose_name="person",
            ),
        ),
    ]
