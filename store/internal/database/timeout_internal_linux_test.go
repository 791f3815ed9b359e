package database

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A host that is gone acknowledges nothing. The kernel's own patience is a quarter of an hour.
func TestDial_TCPUserTimeout(t *testing.T) {
	for network, address := range map[string]string{
		"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "socket"),
	} {
		l, err := net.Listen(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		conn, err := new(DB).dial(t.Context(), network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if network == "unix" {
			continue // it has no such option, and must be dialled all the same
		}
		raw, err := conn.(*connection).Conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var got int
		var asked error
		if err := raw.Control(func(fd uintptr) {
			got, asked = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)
		}); err != nil || asked != nil {
			t.Fatal(err, asked)
		}
		if want := int(silenceTimeout.Milliseconds()); got != want {
			t.Errorf("given up after %d ms, want %d", got, want)
		}
	}
}
