package cli

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestReadBuild reads what the toolchain records of a release, of a checkout, and of neither.
func TestReadBuild(t *testing.T) {
	platform := runtime.GOOS + "/" + runtime.GOARCH
	unknown := build{"unknown", "unknown", runtime.Version(), platform}
	checkout := []debug.BuildSetting{
		{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "8f3c"}, {Key: "vcs.time", Value: "2026-01-02T03:04:05Z"},
	}
	for name, test := range map[string]struct {
		recorded *debug.BuildInfo
		want     build
	}{
		"nothing recorded": {nil, unknown},
		"no checkout":      {&debug.BuildInfo{}, unknown},
		"release": {
			&debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: checkout},
			build{"v1.2.3", "8f3c of 2026-01-02T03:04:05Z", runtime.Version(), platform},
		},
		"changed checkout": {
			&debug.BuildInfo{Settings: append(checkout, debug.BuildSetting{Key: "vcs.modified", Value: "true"})},
			build{"unknown", "8f3c of 2026-01-02T03:04:05Z, with changes", runtime.Version(), platform},
		},
		"unchanged checkout": {
			&debug.BuildInfo{Settings: append(checkout, debug.BuildSetting{Key: "vcs.modified", Value: "false"})},
			build{"unknown", "8f3c of 2026-01-02T03:04:05Z", runtime.Version(), platform},
		},
	} {
		if got := readBuild(test.recorded, test.recorded != nil); got != test.want {
			t.Errorf("%s: %+v, want %+v", name, got, test.want)
		}
	}
}
