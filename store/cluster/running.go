//go:build unix

package cluster

import "errors"

// ErrInUse means that another process has the directory of a cluster.
var ErrInUse = errors.New("in use by another millrace")

// Running returns the URL of a cluster whose server another process has started, and false if none has.
func Running(config Config) (url string, running bool, err error) {
	if config.Log == nil {
		config.Log = func(string) {}
	}
	who, err := findOwner()
	if err != nil {
		return "", false, err
	}
	where, err := makePlace(config, who)
	if err != nil {
		return "", false, err
	}
	unlock, err := where.lock()
	if errors.Is(err, ErrInUse) {
		c := Cluster{place: where}
		return c.URL(), true, nil
	}
	if err == nil {
		unlock()
	}
	return "", false, err
}
