"""A build to write a log for, people who may and may not see it, and lines that look like a real log."""

from __future__ import annotations

import hashlib
import random

import pytest
from django.core.files.storage import default_storage

from builds.models import Build
from permissions.models import User
from projects.models import Project


@pytest.fixture
def project(transactional_db: None) -> Project:
    return Project.objects.create(slug="shop", name="Shop")


@pytest.fixture
def build(project: Project) -> Build:
    return Build.objects.create(
        project=project, number=1, trigger="manual", ref="refs/heads/main", commit_sha="a" * 40, state="running"
    )


@pytest.fixture
def dev(project: Project) -> User:
    """May see the project."""
    from guardian.shortcuts import assign_perm

    user = User.objects.create_user("dev", password="a-long-password")
    assign_perm("view_project", user, project)
    return user


@pytest.fixture
def guest(project: Project) -> User:
    """May see nothing."""
    return User.objects.create_user("guest", password="a-long-password")


def typical(count: int, seed: int = 1) -> list[bytes]:
    """Lines as compilers, test runners and downloads write them."""
    luck = random.Random(seed)
    parts = ["auth", "billing", "search", "web", "core", "session"]
    made = []
    for number in range(count):
        part, other = luck.choice(parts), luck.choice(parts)
        match luck.randrange(4):
            case 0:
                made.append(f"tests/{part}/test_{other}.py::test_case_{number % 400} PASSED [{number % 101:3d}%]")
            case 1:
                made.append(
                    f"[INFO] Downloaded https://repo.example.org/org/{part}/{other}/1.{number % 30}.jar (12 kB)"
                )
            case 2:
                made.append(f"gcc -O2 -Wall -Iinclude -c src/{part}_{number % 90}.c -o build/{part}_{number % 90}.o")
            case _:
                made.append(f"2026-11-23 22:{number % 60:02d}:07 INFO {part} handled a request for {other} 测试")
    return [line.encode() + b"\n" for line in made]


def whole(build_id: int) -> bytes:
    """The stored object, decompressed as any gunzip would."""
    import gzip

    from builds.models import BuildLog

    with default_storage.open(BuildLog.objects.get(pk=build_id).stored_name) as file:
        return gzip.decompress(file.read())


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
