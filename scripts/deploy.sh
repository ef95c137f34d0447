#!/usr/bin/env bash
# Build the image, push it, and let Kubernetes run it:
#   scripts/deploy.sh registry.example.com/lakehouse TAG [OVERLAY]
# Needs buildah with a log-in to the registry, and kubectl with a context; OVERLAY is `single` or `cluster`.
set -euo pipefail
image=$1 tag=$2 overlay=${3:-single}
cd "$(dirname "$0")/.."

# Docker's format knows health checks.
buildah bud --format docker --file deploy/container/Containerfile --tag "$image:$tag" .
buildah push "$image:$tag"

# The overlay with this image, beside it as it refers to its base; nothing in the clone changes.
made=$(mktemp -d deploy/kubernetes/overlays/.deploy.XXXXXX)
trap 'rm -rf "$made"' EXIT
cat >"$made/kustomization.yaml" <<END
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../$overlay]
images: [{name: registry.example.com/lakehouse, newName: $image, newTag: "$tag"}]
END
kubectl apply --kustomize "$made"
kubectl --namespace lakehouse rollout status statefulset/lakehouse --timeout=15m
