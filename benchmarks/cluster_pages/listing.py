"""`python -m benchmarks.cluster_pages.listing KUBECONFIG NAMESPACE TIMES`: lists pods by the official client, as typed objects
and as raw bytes, in turn; the milliseconds of each as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config


def took(what: Callable[[], Any]) -> float:
    began = time.perf_counter()
    what()
    return (time.perf_counter() - began) * 1000


def main(kubeconfig: str, namespace: str, times: int) -> None:
    config.load_kube_config(kubeconfig)
    api: Any = client.CoreV1Api()  # its types do not know of answers that are not read
    typed, raw = [], []
    for _ in range(times):
        typed.append(took(lambda: api.list_namespaced_pod(namespace)))
        raw.append(took(lambda: api.list_namespaced_pod(namespace, _preload_content=False).data))
    count = len(api.list_namespaced_pod(namespace).items)
    sys.stdout.write(json.dumps({"typed": typed[1:], "raw": raw[1:], "pods": count}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
