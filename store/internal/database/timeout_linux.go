package database

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setTCPUserTimeout returns a dialer's Control function that closes a TCP connection whose peer acknowledged nothing
// for d (TCP_USER_TIMEOUT, RFC 5482): its host or the network is down. The host of a slow server still acknowledges.
func setTCPUserTimeout(d time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		controlled := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
		})
		if controlled != nil {
			return controlled
		}
		return err
	}
}
