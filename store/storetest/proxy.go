package storetest

import (
	"testing"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// NewProxy returns a proxy on loopback in front of the server at an address of a network, "tcp" or "unix". It is closed
// when the test ends.
func NewProxy(t testing.TB, network, server string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New("127.0.0.1", network, server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}
