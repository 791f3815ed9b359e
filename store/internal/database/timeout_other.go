//go:build !linux

package database

import (
	"syscall"
	"time"
)

// setTCPUserTimeout returns nil, no Control function: a host that is down is noticed by the deadline of the caller.
func setTCPUserTimeout(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}
