package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// release is the program for one platform.
type release struct {
	system, machine string // as Go calls them
	program         string // the file
	version         string // of the program, as it says itself, without the v
	moment          time.Time
}

// build compiles the program. Its version and its time are what the toolchain stamped: those of the commit.
func build(ctx context.Context, source, scratch, platform string) (release, error) {
	system, machine, ok := strings.Cut(platform, "/")
	if !ok {
		return release{}, errors.New("no platform such as linux/amd64")
	}
	r := release{system: system, machine: machine}
	r.program = filepath.Join(scratch, system+"-"+machine, "millrace"+r.suffix())
	_, err := output(ctx, source, r.environment(), "go", "build", "-trimpath", "-buildvcs=true", "-ldflags=-s -w", "-o", r.program, ".")
	if err != nil {
		return release{}, err
	}
	stamp, err := buildinfo.ReadFile(r.program)
	if err != nil {
		return release{}, err
	}
	r.version = strings.TrimPrefix(stamp.Main.Version, "v")
	for _, s := range stamp.Settings {
		if s.Key == "vcs.time" {
			r.moment, err = time.Parse(time.RFC3339, s.Value)
		}
	}
	if err != nil || r.moment.IsZero() || r.version == stamp.Main.Version || strings.HasSuffix(r.version, "+dirty") {
		return release{}, fmt.Errorf("stamped with version %q and time %v (%w)", stamp.Main.Version, r.moment, err)
	}
	return r, nil
}

// environment makes the toolchain build for the platform, whatever the user's settings are.
func (r release) environment() []string {
	return []string{"CGO_ENABLED=0", "GOOS=" + r.system, "GOARCH=" + r.machine, "GOFLAGS=", "GOAMD64=", "GOARM64=", "GOEXPERIMENT="}
}

func (r release) suffix() string {
	if r.system == "windows" {
		return ".exe"
	}
	return ""
}

// name is what the files of the platform begin with.
func (r release) name() string {
	return strings.Join([]string{"millrace", r.version, r.system, r.machine}, "_")
}

// write makes everything of one platform.
func (r release) write(ctx context.Context, source, tools, out string, shared []file) error {
	program, err := os.ReadFile(r.program)
	if err != nil {
		return err
	}
	files := append([]file{{name: "millrace" + r.suffix(), mode: 0o755, content: program}}, shared...)
	if err := r.writeArchive(out, files); err != nil {
		return fmt.Errorf("write archive: %w", err)
	}
	if err := r.writeBill(ctx, tools, out, source); err != nil {
		return fmt.Errorf("write bill of materials: %w", err)
	}
	if r.system != "linux" {
		return nil
	}
	return r.writePackages(ctx, tools, out, source, files)
}

// file is one of those that a release consists of.
type file struct {
	name    string // within an archive, and the base name in a package
	mode    os.FileMode
	content []byte
	system  string // the only one that it is for; empty: all
}

// The files beside the program.
const (
	licenceFile = "LICENSE"
	noticesFile = "THIRD-PARTY-NOTICES.txt"
	unitFile    = "millrace.service"
	manualFile  = "millrace.1"
	bashFile    = "millrace.bash"
	fishFile    = "millrace.fish"
)

// collectShared reads what is the same for all platforms.
func collectShared(ctx context.Context, source, scratch string, platforms []string) ([]file, error) {
	var files []file
	for _, from := range []file{
		{name: licenceFile},
		{name: "README.md"},
		{name: "CHANGELOG.md"},
		{name: filepath.Join("deploy", "systemd", unitFile), system: "linux"},
	} {
		content, err := os.ReadFile(filepath.Join(source, from.name))
		if err != nil {
			return nil, err
		}
		files = append(files, file{filepath.Base(from.name), 0o644, content, from.system})
	}
	notices, err := collectNotices(ctx, source, platforms)
	if err != nil {
		return nil, fmt.Errorf("collect notices: %w", err)
	}
	files = append(files, file{name: noticesFile, mode: 0o644, content: notices})
	printed, err := printFiles(ctx, source, scratch)
	if err != nil {
		return nil, fmt.Errorf("print files: %w", err)
	}
	return append(files, printed...), nil
}

// prints are the commands whose output is a file of a release.
var prints = []struct {
	name    string
	command []string
}{
	{manualFile, []string{"man"}},
	{bashFile, []string{"completion", "bash"}},
	{"_millrace", []string{"completion", "zsh"}},
	{fishFile, []string{"completion", "fish"}},
}

// printFiles runs the program of this machine. What it has no command for is left out.
func printFiles(ctx context.Context, source, scratch string) ([]file, error) {
	r, err := build(ctx, source, scratch, runtime.GOOS+"/"+runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, p := range prints {
		printed, err := output(ctx, scratch, nil, r.program, p.command...)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && strings.Contains(err.Error(), "unexpected argument "+p.command[0]) {
			continue
		}
		if err == nil && len(bytes.TrimSpace(printed)) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		files = append(files, file{name: p.name, mode: 0o644, content: printed})
	}
	return files, nil
}

// packed is gzip with nothing in its header that depends on the machine.
func packed(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(content)
	err = cmp.Or(err, w.Close())
	return out.Bytes(), err
}
