"""The manifest of a RayJob, with which KubeRay trains trials on a Kubernetes cluster."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mritk_cluster.run_command import on_ray

VOLUME = "shared"
GRACE_S = 120  # between the notice that a pod must go and its end


@dataclass(frozen=True)
class RayJob:
    """What a RayJob asks for.

    Attributes:
        image: Container image with mritk and Ray.
        claim: Name of the volume claim that all pods share; results and caches are on it.
        name: Name of the job.
        namespace: Where it runs; empty: that of the user.
        workers: Number of worker pods.
        gpus: GPUs of each.
        cpus: Cores of each, and of the head.
        memory: Memory of each, and of the head, as Kubernetes writes it.
        mount: Where the volume is in the pods; the command starts there.
        retries: How often KubeRay starts a new cluster if this one fails.
        queue: Kueue's queue that admits the job; empty: none.
    """

    image: str
    claim: str
    name: str
    namespace: str
    workers: int
    gpus: int
    cpus: int
    memory: str
    mount: str
    retries: int
    queue: str

    def manifest(self, command: Sequence[str]) -> dict[str, Any]:
        """Return the manifest of a RayJob that runs a command of ``mritk run``, as plain data.

        Args:
            command: The command; its relative paths begin at the volume.

        Raises:
            UsageError: See :func:`mritk_cluster.run_command.on_ray`.
        """
        # KubeRay puts the entrypoint into a line of shell, where '&&' would divide it.
        entrypoint = ["env", f"--chdir={self.mount}", *on_ray(command, "auto")]
        worker = {
            "groupName": "workers",
            "replicas": self.workers,
            "minReplicas": self.workers,
            "maxReplicas": self.workers,
            "rayStartParams": {},
            "template": self._pod("ray-worker", self.gpus),
        }
        # Trials are trained on the workers, and planned on the head.
        head = {"rayStartParams": {"num-cpus": "0"}, "template": self._pod("ray-head", gpus=0)}
        metadata: dict[str, Any] = {"name": self.name}
        if self.namespace:
            metadata["namespace"] = self.namespace
        if self.queue:
            metadata["labels"] = {"kueue.x-k8s.io/queue-name": self.queue}
        return {
            "apiVersion": "ray.io/v1",
            "kind": "RayJob",
            "metadata": metadata,
            "spec": {
                "entrypoint": shlex.join(entrypoint),
                # The same command goes on with what an earlier cluster has left.
                "backoffLimit": self.retries,
                "shutdownAfterJobFinishes": True,
                "rayClusterSpec": {"headGroupSpec": head, "workerGroupSpecs": [worker]},
            },
        }

    def _pod(self, name: str, gpus: int) -> dict[str, Any]:
        resources: dict[str, Any] = {"cpu": str(self.cpus), "memory": self.memory}
        if gpus:
            resources["nvidia.com/gpu"] = str(gpus)
        container = {
            "name": name,
            "image": self.image,
            "env": [{"name": "MRITK_HOME", "value": f"{self.mount}/mritk-home"}],
            "resources": {"requests": resources, "limits": dict(resources)},
            "volumeMounts": [{"name": VOLUME, "mountPath": self.mount}],
        }
        volume = {"name": VOLUME, "persistentVolumeClaim": {"claimName": self.claim}}
        return {
            "spec": {
                "terminationGracePeriodSeconds": GRACE_S,
                "containers": [container],
                "volumes": [volume],
            }
        }
