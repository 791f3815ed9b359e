package storetest

import (
	"net/url"
	"path/filepath"
	"testing"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// NewProxy returns a proxy on loopback in front of the server of a URL, and the URL through the proxy. A database's
// server may be a directory with a Unix socket, as that of [Postgres] is. The proxy is closed when the test ends.
func NewProxy(t testing.TB, server string) (p *proxy.Proxy, through string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	network, address := addressOf(u)
	if network == "unix" {
		u.RawQuery = "sslmode=disable"
	}
	if p, err = proxy.New("127.0.0.1", network, address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	u.Host = p.Address()
	return p, u.String()
}

// addressOf returns the network and the address of a server's URL.
func addressOf(u *url.URL) (network, address string) {
	if dir := u.Query().Get("host"); dir != "" {
		return "unix", filepath.Join(dir, ".s.PGSQL.5432")
	}
	return "tcp", u.Host
}
