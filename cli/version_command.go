package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/retainwise/millrace/engine"
)

// versionCommand says what the program is.
type versionCommand struct{}

// Run prints version, commit, Go release and kernels.
func (c *versionCommand) Run(std Streams) error {
	b := readBuild(debug.ReadBuildInfo())
	t := table{
		{"version", b.version},
		{"commit", b.commit},
		{"results", "format " + engine.Version},
		{"go", b.goVersion},
		{"platform", b.platform},
	}
	for _, k := range engine.StageKernels() {
		t.add("kernel: "+k.Stage, k.Kernel)
	}
	_, err := fmt.Fprint(std.Out, "millrace "+b.version+"\n"+t[1:].leftAligned())
	return err
}

// build is what the Go toolchain recorded in the program.
type build struct{ version, commit, goVersion, platform string }

// readBuild reads the record. A program that was built outside a checkout has no commit.
func readBuild(recorded *debug.BuildInfo, ok bool) build {
	b := build{"unknown", "unknown", runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if !ok {
		return b
	}
	if v := recorded.Main.Version; v != "" {
		b.version = v
	}
	var revision, date, modified string
	for _, s := range recorded.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.time":
			date = " of " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = ", with changes"
		}
	}
	if revision != "" {
		b.commit = revision + date + modified
	}
	return b
}

// versionLine is the output of --version.
func versionLine() string {
	b := readBuild(debug.ReadBuildInfo())
	commit, _, _ := strings.Cut(b.commit, " ")
	return fmt.Sprintf("millrace %s (%s, %s, %s)", b.version, shortened(commit, 13), b.goVersion, b.platform)
}
