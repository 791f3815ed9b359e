//go:build !unix

// Package cluster runs a private PostgreSQL server. It needs a Unix; elsewhere set DATABASE_URL.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrNotInstalled is what [Start] fails with here.
var ErrNotInstalled = errors.New("a private PostgreSQL runs on Linux and macOS only: set DATABASE_URL")

// ErrInUse is never returned here.
var ErrInUse = errors.New("in use by another millrace")

// ErrNotRunning is never returned here.
var ErrNotRunning = errors.New("the private PostgreSQL does not run")

// Config is the place and the settings of a cluster.
type Config struct {
	Dir      string
	Log      func(message string)
	Warn     func(message string)
	BinDir   string
	Settings map[string]string
	Settle   time.Duration
}

// Cluster is a running server.
type Cluster struct{}

// Start fails with [ErrNotInstalled].
func Start(context.Context, Config) (*Cluster, error) {
	return nil, fmt.Errorf("start postgresql: %w", ErrNotInstalled)
}

// Running returns false.
func Running(Config) (string, bool, error) { return "", false, nil }

// URL is empty.
func (*Cluster) URL() string { return "" }

// Dir is empty.
func (*Cluster) Dir() string { return "" }

// Exited never closes.
func (*Cluster) Exited() <-chan struct{} { return nil }

// Supervise returns nil.
func (*Cluster) Supervise(context.Context) error { return nil }

// Stop does nothing.
func (*Cluster) Stop(context.Context) error { return nil }
