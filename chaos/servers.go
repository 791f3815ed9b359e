package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
)

// account is an address with what it takes to use it.
type account struct {
	Endpoint  string `json:"endpoint"`
	Name      string `json:"name"`
	AccessKey string `json:"access_key"`
	SecretKey string `json:"secret_key"`
}

// servers are the real PostgreSQL, S3 and SQS servers that the tests use. They end with this process.
type servers struct {
	DatabaseURL string  `json:"database_url"`
	S3          account `json:"s3"`
	SQS         account `json:"sqs"`
	S3Dir       string  `json:"s3_dir"` // the bucket's files, whose times are the objects'

	stdin   io.Closer
	command *exec.Cmd
}

func startServers() (*servers, error) {
	s := new(servers)
	s.command = exec.Command("go", "run", "./store/storetest/servers")
	s.command.Dir = ".."
	s.command.Env = append(os.Environ(), "CGO_ENABLED=0")
	s.command.Stderr = os.Stderr
	var err error
	if s.stdin, err = s.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.command.Start(); err != nil {
		return nil, fmt.Errorf("start servers: %w", err)
	}
	if err := json.NewDecoder(out).Decode(s); err != nil {
		return nil, fmt.Errorf("start servers: %w", err)
	}
	return s, nil
}

func (s *servers) stop() {
	_ = s.stdin.Close()
	_ = s.command.Wait()
}

// socketOf is the Unix socket of a database URL.
func socketOf(databaseURL string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	return filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432"), nil
}

// through is a database URL by another way.
func through(databaseURL, address string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	u.Host, u.RawQuery = address, "sslmode=disable"
	return u.String(), nil
}

// databaseNamed is the URL of another database of the same server.
func databaseNamed(databaseURL, name string) (string, error) {
	u, err := url.Parse(databaseURL)
	if err != nil {
		return "", err
	}
	u.Path = "/" + name
	return u.String(), nil
}
