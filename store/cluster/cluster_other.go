//go:build !unix

// Package cluster runs a private PostgreSQL server. It needs a Unix; elsewhere set DATABASE_URL.
package cluster

import (
	"context"
	"errors"
)

// Config is the place and the settings of a cluster.
type Config struct {
	Dir      string
	Log      func(message string)
	BinDir   string
	Settings map[string]string
}

// Cluster is a running server.
type Cluster struct{}

// Start fails.
func Start(context.Context, Config) (*Cluster, error) {
	return nil, errors.New("start postgresql: not possible on this system: set DATABASE_URL")
}

// Running returns false.
func Running(Config) (string, bool, error) { return "", false, nil }

// URL is empty.
func (*Cluster) URL() string { return "" }

// Dir is empty.
func (*Cluster) Dir() string { return "" }

// Exited never closes.
func (*Cluster) Exited() <-chan struct{} { return nil }

// Stop does nothing.
func (*Cluster) Stop(context.Context) error { return nil }
