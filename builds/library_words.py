"""The words of the shipped templates, for the translators: the files of `builds/library/` cannot mark them themselves.

A test compares this list with the files.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop as _

FROM_THE_PORTAL = _("came with the portal")
STILL_OURS = _("ops' own text, kept after an upgrade of the portal")

NAMES = (
    _("Dockerfile"),
    _("Go"),
    _("Java with Gradle"),
    _("Java with Maven"),
    _("Node.js"),
    _("PHP"),
    _("Python"),
    _("Static site"),
)
DESCRIPTIONS = (
    _("Builds the image that the Dockerfile describes and pushes it, and can keep files as an archive."),
    _("Builds and tests a Go module, keeps the program, and can push an image."),
    _("Builds and tests with Gradle, keeps the jars and wars, and can push an image."),
    _("Builds and tests with Maven, keeps the jars and wars, and can push an image."),
    _("Installs, builds and tests with npm, pnpm or yarn, keeps what is deployed, and can push an image."),
    _("Installs packages with Composer, tests with PHPUnit, keeps the application, and can push an image."),
    _(
        "Installs requirements into an environment of its own, tests, keeps the source or a wheel, and can push an image."
    ),
    _(
        "Builds the pages when a command says how, checks that there is an index.html, keeps them, and can push an image."
    ),
)
HELP = (
    _("Build with cgo, against the C libraries of the machine."),
    _("Command that makes the pages, for example hugo --minify; empty takes them as they are."),
    _("Command that starts the application, for the plain Dockerfile."),
    _("Command that tests before the image is made; empty tests nothing."),
    _("Credentials for private packages, as the JSON that Composer reads from COMPOSER_AUTH."),
    _("Files and folders to keep as this version, with spaces between them; empty keeps none."),
    _("Files and folders to keep beside the image, with spaces between them; empty keeps none."),
    _("Files to keep as this version (Ant patterns, with commas between them); empty keeps none."),
    _("Folder of the repository that holds the application."),
    _("Folder with the finished pages; empty takes the first of dist, build, public, _site, or the folder itself."),
    _("How the image is made."),
    _("How the image is made. When the file is missing, a plain one is written."),
    _("Image that the plain Dockerfile starts from."),
    _(
        "Image to push, registry/name:tag. The portal fills it in when the project has a registry; empty makes no image."
    ),
    _("JUnit reports that the tests leave (Ant patterns)."),
    _("Keep the pages as the archive of this version."),
    _("Leave packages that only development needs out of what is kept."),
    _("More arguments for Gradle, for example -Penv=production."),
    _("More arguments for Maven, for example -Pproduction."),
    _("More arguments for composer install."),
    _("Name of the program that is built; it is kept as bin/NAME."),
    _("Run the tests. A failed test makes the build unstable, and it leaves no version."),
    _("Script of package.json that builds; skipped when there is none of that name."),
    _("The interpreter, as it is called on the machine that builds."),
    _("The package with the main function, for example ./cmd/server."),
    _("Token for a private registry, for an .npmrc that reads it from the environment as NPM_TOKEN."),
    _("What to keep: the files as they are in the repository, or a wheel built from them."),
    _("Who installs packages; auto goes by the lock file."),
)
