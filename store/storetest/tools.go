package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// tool is a program that tools/go.tools.mod pins.
type tool struct {
	name, module, pkg string
}

const toolsFile = "tools/go.tools.mod"

// build returns the path of the tool's binary. It is built at the first use on a machine and kept in the user's cache
// under its version; of several processes that need it at once one builds and the others wait.
func (b tool) build() (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	version, err := b.version(root)
	if err != nil {
		return "", err
	}
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(dir, b.name+"-"+version)
	unlock, err := lock(filepath.Join(dir, b.name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "build", "-modfile="+toolsFile, "-o", binary+".new", b.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", b.pkg, err, out)
	}
	return binary, os.Rename(binary+".new", binary)
}

func (b tool) version(root string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, toolsFile))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(strings.TrimPrefix(line, "require ")); len(fields) > 1 && fields[0] == b.module {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%s is not in %s", b.module, toolsFile)
}

// moduleRoot is the directory that has tools/go.tools.mod, in or above the package whose tests run.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, toolsFile)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no " + toolsFile + " in or above the working directory")
		}
		dir = parent
	}
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	dir = filepath.Join(dir, "millrace-tools")
	return dir, os.MkdirAll(dir, 0o755)
}

// startServer runs a child on a free port of loopback until it answers at a path. prepare makes its command for a
// port. As another program may take the port in between, it is tried a few times.
func startServer(dir, path string, prepare func(port string) (*exec.Cmd, error)) (endpoint string, err error) {
	for range 3 {
		var port string
		var cmd *exec.Cmd
		if port, err = freePort(); err != nil {
			return "", err
		}
		if cmd, err = prepare(port); err != nil {
			return "", err
		}
		endpoint = "http://127.0.0.1:" + port
		if err = startCommand(cmd, dir, endpoint+path); err == nil {
			return endpoint, nil
		}
	}
	return "", err
}

func startCommand(cmd *exec.Cmd, dir, health string) error {
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	cmd.Stdout, cmd.Stderr = log, log // not those of the test: go test waits for every process that holds them
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	if err := answers(health, exited); err != nil {
		_ = cmd.Process.Kill()
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, text)
	}
	return guard(cmd.Process.Pid, dir)
}

func answers(url string, exited <-chan error) error {
	client := http.Client{Timeout: time.Second}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if response, err := client.Get(url); err == nil {
			return response.Body.Close()
		}
		select {
		case err := <-exited:
			return fmt.Errorf("ended: %w", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return errors.New("no answer")
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}
