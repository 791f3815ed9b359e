package database

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A URL may name several hosts, and a name may stand for several addresses: a primary and its standbys. pgx tries them in
// their order, for every connection. So after a failover each new connection would wait for a first host that is down, or
// stay with one that is read-only. Hosts puts such hosts last, and takes a read-only one only where no other is left.

// Hosts remembers which addresses could not be reached or were read-only when they were last tried. The zero value is
// ready for use. It is safe for concurrent use.
type Hosts struct {
	mu    sync.Mutex
	marks map[string]mark // by address; all others are good
}

// mark is what the last connect to an address has shown. Addresses are tried in this order.
type mark int

const (
	good mark = iota
	readOnly
	unreachable
)

// marksMax bounds the memory for names whose addresses change. Forgetting them costs one slow connect.
const marksMax = 100

func (h *Hosts) set(address string, m mark) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case m == good:
		delete(h.marks, address)
		return
	case h.marks == nil || len(h.marks) >= marksMax:
		h.marks = map[string]mark{}
	}
	h.marks[address] = m
}

func (h *Hosts) of(address string) mark {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.marks[address]
}

// Arrange replaces the hosts of a connection by their addresses, the most promising first, and has a read-only server
// refused while another may be reached. A target_session_attrs of the URL decides alone what is refused. It is called
// before each connect.
func (h *Hosts) Arrange(ctx context.Context, cc *pgx.ConnConfig) error {
	servers := resolve(ctx, cc)
	slices.SortStableFunc(servers, func(a, b *pgconn.FallbackConfig) int {
		return int(h.of(addressOf(a)) - h.of(addressOf(b)))
	})
	cc.Host, cc.Port, cc.TLSConfig = servers[0].Host, servers[0].Port, servers[0].TLSConfig
	cc.Fallbacks = servers[1:]
	demanded := cc.ValidateConnect
	cc.ValidateConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		address, check := conn.Conn().RemoteAddr().String(), writable
		if demanded != nil {
			check = demanded
		}
		err := check(ctx, conn)
		if err == nil {
			h.set(address, good)
			return nil
		}
		h.set(address, readOnly)
		if demanded == nil && !h.anyAfter(servers, address) {
			return nil
		}
		return err
	}
	return nil
}

// anyAfter reports whether another server may be reached that is tried after the one at an address.
func (h *Hosts) anyAfter(servers []*pgconn.FallbackConfig, address string) bool {
	at := slices.IndexFunc(servers, func(s *pgconn.FallbackConfig) bool { return addressOf(s) == address })
	return slices.ContainsFunc(servers[at+1:], func(s *pgconn.FallbackConfig) bool {
		return addressOf(s) != address && h.of(addressOf(s)) != unreachable
	})
}

// resolve lists the servers of a configuration by address. A name that cannot be resolved stays, for pgx to report.
func resolve(ctx context.Context, cc *pgx.ConnConfig) (servers []*pgconn.FallbackConfig) {
	first := &pgconn.FallbackConfig{Host: cc.Host, Port: cc.Port, TLSConfig: cc.TLSConfig}
	for _, s := range append([]*pgconn.FallbackConfig{first}, cc.Fallbacks...) {
		if isSocket(s.Host) {
			servers = append(servers, s)
			continue
		}
		addresses, err := cc.LookupFunc(ctx, s.Host)
		if err != nil {
			addresses = []string{s.Host}
		}
		for _, a := range addresses {
			servers = append(servers, &pgconn.FallbackConfig{Host: a, Port: s.Port, TLSConfig: s.TLSConfig})
		}
	}
	return servers
}

// addressOf returns what the address of a connection to a server is called.
func addressOf(s *pgconn.FallbackConfig) string {
	if isSocket(s.Host) {
		_, address := pgconn.NetworkAddress(s.Host, s.Port)
		return address
	}
	return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
}

// isSocket reports whether a host is the directory of a Unix socket.
func isSocket(host string) bool { return strings.HasPrefix(host, "/") || filepath.IsAbs(host) }

var errReadOnly = errors.New("the server is read-only")

// writable returns an error if a server is a standby, or read-only as a former primary may be. PostgreSQL says so as soon
// as it is connected to; a pooler need not.
func writable(ctx context.Context, conn *pgconn.PgConn) error {
	standby, byDefault := conn.ParameterStatus("in_hot_standby"), conn.ParameterStatus("default_transaction_read_only")
	switch {
	case standby == "on" || byDefault == "on":
		return errReadOnly
	case standby == "":
		return pgconn.ValidateConnectTargetSessionAttrsReadWrite(ctx, conn)
	}
	return nil
}

// Connect connects to the database of a URL, outside of any pool. Its error names no password.
func Connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cc, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, HideURL(err)
	}
	return new(Hosts).connect(ctx, cc)
}

// Connect connects as the pool of workers does, outside of it.
func (db *DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	return db.hosts.connect(ctx, db.Pool.Config().ConnConfig)
}

// connect connects at its second attempt if a read-only server was refused for others that then could not be reached.
func (h *Hosts) connect(ctx context.Context, config *pgx.ConnConfig) (conn *pgx.Conn, err error) {
	for range 2 {
		cc := config.Copy()
		if err := h.Arrange(ctx, cc); err != nil {
			return nil, err
		}
		if conn, err = pgx.ConnectConfig(ctx, cc); !errors.Is(err, errReadOnly) {
			break
		}
	}
	return conn, HideURL(err)
}
