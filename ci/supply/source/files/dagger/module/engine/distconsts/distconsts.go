// Package distconsts holds where the engine's image has its parts, and the names the engine goes by.
//
// Upstream keeps it as a module of its own that is not published; these are the values of its releases.
package distconsts

// The engine, and where it listens and keeps its state.
const (
	EngineContainerName              = "dagger-engine.dev"
	EngineDefaultStateDir            = "/var/lib/dagger"
	EngineContainerBuiltinContentDir = "/usr/local/share/dagger/content"
	EngineCustomCACertsDir           = "/usr/local/share/ca-certificates"
	DefaultEngineSockAddr            = "unix:///run/dagger/engine.sock"
)

// The programs the engine starts.
const (
	RuncPath       = "/usr/local/bin/runc"
	DaggerInitPath = "/usr/local/bin/dagger-init"
)

// OCIVersionAnnotation marks the version of an image that the engine carries in its content store.
const OCIVersionAnnotation = "org.opencontainers.image.version"

// Images that helper steps of the engine run in.
const (
	AlpineVersion = "3.22"
	AlpineImage   = "docker.io/library/alpine:" + AlpineVersion
	GolangImage   = "docker.io/library/golang:1.25-alpine"
	BusyboxImage  = "docker.io/library/busybox:1.37"
)

// Variables that name the SDK images in the engine's content store; unset in an engine that carries none.
const (
	GoSDKManifestDigestEnvName         = "DAGGER_GO_SDK_MANIFEST_DIGEST"
	PythonSDKManifestDigestEnvName     = "DAGGER_PYTHON_SDK_MANIFEST_DIGEST"
	TypescriptSDKManifestDigestEnvName = "DAGGER_TYPESCRIPT_SDK_MANIFEST_DIGEST"
)
