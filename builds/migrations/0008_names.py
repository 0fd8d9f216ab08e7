from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("builds", "0007_rules_and_reviews"),
    ]

    operations = [
        migrations.AlterModelOptions(
            name="artifact",
            options={"ordering": ["path"], "verbose_name": "artifact"},
        ),
        migrations.AlterModelOptions(
            name="buildlog",
            options={"verbose_name": "build log"},
        ),
        migrations.AlterModelOptions(
            name="inputrequest",
            options={"verbose_name": "question of a build"},
        ),
        migrations.AlterModelOptions(
            name="logchunk",
            options={"ordering": ["offset"], "verbose_name": "piece of a log"},
        ),
        migrations.AlterModelOptions(
            name="logmark",
            options={"ordering": ["line"], "verbose_name": "mark in a log"},
        ),
        migrations.AlterModelOptions(
            name="stage",
            options={"ordering": ["order"], "verbose_name": "stage"},
        ),
        migrations.AlterModelOptions(
            name="testresult",
            options={"verbose_name": "test result"},
        ),
    ]
