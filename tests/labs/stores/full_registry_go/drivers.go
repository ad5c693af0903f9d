// What Debian leaves out of the registry, beside its own main.go: the drivers for Azure and GCS.
package main

import (
	_ "github.com/docker/distribution/registry/storage/driver/azure"
	_ "github.com/docker/distribution/registry/storage/driver/gcs"
)
