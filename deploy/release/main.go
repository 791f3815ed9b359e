// Release builds what is published of a commit: for each platform an archive and a bill of materials, for Linux deb and
// rpm packages, and over all of them the digests. The same commit gives the same bytes, wherever and whenever it is
// built: times are that of the commit, and everything comes from a clone of it, not from the working tree.
//
//	release -tools ../../bin/tools -out ../../bin/release linux/amd64 windows/amd64
//	release -notices FILE     # the licences of others alone, from the working tree
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	root := flag.String("root", filepath.Join("..", ".."), "the repository")
	tools := flag.String("tools", filepath.Join("..", "..", "bin", "tools"), "where nfpm and cyclonedx-gomod are")
	out := flag.String("out", "", "directory to write, removed first")
	notices := flag.String("notices", "", "write the licences of others into this file and do nothing else")
	flag.Parse()
	var err error
	switch ctx := context.Background(); {
	case *notices != "":
		err = writeNotices(ctx, *root, *notices)
	case *out == "" || flag.NArg() == 0:
		err = errors.New("-out and at least one platform must be given, such as linux/amd64")
	default:
		err = publish(ctx, *root, *tools, *out, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// writeNotices is for an image, whose platform is the one it is built on.
func writeNotices(ctx context.Context, root, name string) error {
	text, err := collectNotices(ctx, root, []string{runtime.GOOS + "/" + runtime.GOARCH})
	if err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

// publish writes everything of HEAD into out.
func publish(ctx context.Context, root, tools, out string, platforms []string) (err error) {
	tools, errTools := filepath.Abs(tools)
	out, errOut := filepath.Abs(out)
	scratch, errScratch := os.MkdirTemp("", "millrace-release-")
	if err := errors.Join(errTools, errOut, errScratch); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	source := filepath.Join(scratch, "source")
	if err := clone(ctx, root, source); err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(out), os.MkdirAll(out, 0o755)); err != nil {
		return err
	}
	shared, err := collectShared(ctx, source, scratch, platforms)
	if err != nil {
		return err
	}
	for _, platform := range platforms {
		start := time.Now()
		r, err := build(ctx, source, scratch, platform)
		if err == nil {
			err = r.write(ctx, source, tools, out, shared)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", platform, err)
		}
		fmt.Printf("%s %s after %s\n", r.name(), platform, time.Since(start).Round(100*time.Millisecond))
	}
	return writeSums(out)
}

// clone takes the commit alone: nothing that is not committed gets into a release, and the toolchain, which stamps no
// linked worktree, finds a repository.
func clone(ctx context.Context, root, source string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if changes, err := output(ctx, root, nil, "git", "status", "--porcelain"); err != nil {
		return err
	} else if len(changes) > 0 {
		fmt.Println("not in it: what is not committed")
	}
	_, err = output(ctx, root, nil, "git", "clone", "--quiet", "--shared", root, source)
	return err
}

// output runs a command in a directory, with variables added to the environment, and returns what it printed.
func output(ctx context.Context, dir string, variables []string, name string, args ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, name, args...)
	command.Dir, command.Env = dir, append(os.Environ(), variables...)
	var messages strings.Builder
	command.Stderr = &messages
	printed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), args[0], err, strings.TrimSpace(messages.String()))
	}
	return printed, nil
}
