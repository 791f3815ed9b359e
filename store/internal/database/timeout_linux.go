package database

import (
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// setTCPUserTimeout gives a connection up whose other end has not even acknowledged what was sent for so long: its host is
// gone, or the way to it. A server that is slow is another matter, its host acknowledges. (RFC 5482.)
func setTCPUserTimeout(silence time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) (err error) {
		if !strings.HasPrefix(network, "tcp") {
			return nil
		}
		controlled := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
		})
		if controlled != nil {
			return controlled
		}
		return err
	}
}
