//go:build unix

package test

import (
	"context"
	"encoding/binary"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/store/storetest"
	"github.com/retainwise/millrace/store/storetest/proxy"
)

// failoverMax is how long after the promotion of a standby uploads may be refused.
const failoverMax = 5 * time.Second

// sites are a primary and its standby behind a proxy each.
type sites struct {
	primary, standby *storetest.Replica
	old, new         *proxy.Proxy
}

func newSites(t *testing.T, primary, standby *storetest.Replica) *sites {
	t.Helper()
	s := &sites{primary: primary, standby: standby}
	s.old, _ = storetest.NewProxy(t, primary.URL())
	s.new, _ = storetest.NewProxy(t, s.standby.URL())
	return s
}

// url returns the URL of the database at hosts.
func (s *sites) url(t *testing.T, hosts, parameters string) string {
	t.Helper()
	u, err := url.Parse(s.primary.URL())
	if err != nil {
		t.Fatal(err)
	}
	u.Host, u.RawQuery = hosts, "sslmode=disable"+parameters
	return u.String()
}

// failovers are ways in which a standby comes to take the place of its primary: what clients connect to, and what happens
// to the primary and to the network just before the promotion.
var failovers = []struct {
	name    string
	connect func(t *testing.T, s *sites) string
	happen  func(t *testing.T, s *sites)
}{
	{
		"two hosts, the old primary is stopped",
		func(t *testing.T, s *sites) string { return twoHosts(t, s, "&target_session_attrs=read-write") },
		func(_ *testing.T, s *sites) { s.primary.Stop(); s.old.Cut() },
	},
	{
		"two hosts, the old primary is silent",
		func(t *testing.T, s *sites) string { return twoHosts(t, s, "&target_session_attrs=read-write") },
		func(_ *testing.T, s *sites) { s.old.Stall() },
	},
	{
		"two hosts, the old primary is read-only",
		func(t *testing.T, s *sites) string { return twoHosts(t, s, "&target_session_attrs=read-write") },
		func(t *testing.T, s *sites) { s.primary.SetReadOnly(t) },
	},
	{
		"two hosts without target_session_attrs",
		func(t *testing.T, s *sites) string { return twoHosts(t, s, "") },
		func(t *testing.T, s *sites) { s.primary.SetReadOnly(t) },
	},
	{
		"one address that is led to the standby, the old primary is read-only",
		func(t *testing.T, s *sites) string { return s.url(t, s.old.Address(), "") },
		func(t *testing.T, s *sites) { s.primary.SetReadOnly(t); s.old.Lead(s.standby.Address()) },
	},
	{
		"one address that is led to the standby, the old primary is stopped",
		func(t *testing.T, s *sites) string { return s.url(t, s.old.Address(), "") },
		func(_ *testing.T, s *sites) { s.primary.Stop(); s.old.Lead(s.standby.Address()) },
	},
	{
		"a name of two addresses, the first is dead",
		func(t *testing.T, s *sites) string {
			host, port, err := net.SplitHostPort(s.old.Address())
			if err != nil {
				t.Fatal(err)
			}
			serveName(t, "127.0.0.77", host) // no one listens at the first
			return s.url(t, "db.failover.test:"+port, "")
		},
		func(_ *testing.T, s *sites) { s.primary.Stop(); s.old.Lead(s.standby.Address()) },
	},
}

func twoHosts(t *testing.T, s *sites, parameters string) string {
	t.Helper()
	return s.url(t, s.old.Address()+","+s.new.Address(), parameters)
}

// TestFailover promotes a standby while the connections to the old primary are open: a file is accepted, and scored, within
// five seconds, without a restart, and so on for every kind of failover, FAILOVERS (1) times.
func TestFailover(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("FAILOVERS"))
	primary, dir := storetest.NewPrimary(t), t.TempDir()
	for round := range max(1, rounds) {
		for _, f := range failovers {
			standby := primary.Standby(t) // is the next one's primary
			t.Run(f.name, func(t *testing.T) {
				s := newSites(t, primary, standby)
				r := start(t, func(c *serve.RunConfig) {
					c.DatabaseURL, c.DataDir, c.DatabaseKept = f.connect(t, s), dir, 10
					setZero(&c.API.Rates) // unlimited
				})
				took := failOver(t, r, s, func() { f.happen(t, s) })
				slow := writeTime(t, standby)
				t.Logf("round %d: accepted after %s; one write takes %s", round+1, took.Round(time.Millisecond), slow)
				if took > failoverMax+20*slow { // a machine that has other things to do
					t.Errorf("round %d: accepted after %s", round+1, took)
				}
			})
			primary = standby
		}
	}
}

// failOver returns how long after the promotion a file was accepted.
func failOver(t *testing.T, r *running, s *sites, happen func()) time.Duration {
	t.Helper()
	file := sampleFile(t, "saas_sample.csv")
	var busy sync.WaitGroup
	for range 8 { // the pool has several connections
		busy.Go(func() { r.upload(t, file) })
	}
	busy.Wait()
	r.wait(t, r.upload(t, file).ID)
	time.Sleep(1200 * time.Millisecond) // connections are pinged before they are used
	s.primary.CatchUp(t, s.standby)
	happen()
	s.standby.Promote(t)
	promoted := time.Now()
	id := r.uploadSoon(t, file)
	took := time.Since(promoted)
	r.waitThrough(t, id)
	r.ready(t, 200)
	if n := askNumber(t, s.standby.URL(), `SELECT count(*) FROM predictions WHERE status = 'completed' AND public_id = '`+id+`'`); n != 1 {
		t.Errorf("%d predictions at the new primary", n)
	}
	if n := askNumber(t, s.standby.URL(), `SELECT count(*) FROM prediction_failures`); n != 0 {
		t.Errorf("%d attempts were charged", n)
	}
	_ = s.old.Restore()
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
	s.primary.Stop()
	return took
}

// uploadSoon sends a file again and again until one is accepted, some at the same time: those that were sent to a silent
// server wait for their deadline.
func (r *running) uploadSoon(t *testing.T, file string) (id string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	accepted, places := make(chan string, 1), make(chan struct{}, 6)
	var sending sync.WaitGroup
	defer sending.Wait()
	for pause := time.NewTicker(100 * time.Millisecond); ; {
		select {
		case places <- struct{}{}:
			sending.Go(func() {
				defer func() { <-places }()
				if id, err := tryUpload(ctx, r, file); err == nil {
					select {
					case accepted <- id:
					default:
					}
				}
			})
		default:
		}
		select {
		case id := <-accepted:
			cancel()
			return id
		case <-ctx.Done():
			t.Fatal("no file was accepted for a minute")
		case <-pause.C:
		}
	}
}

// waitThrough waits until a prediction has completed, whatever the database does meanwhile.
func (r *running) waitThrough(t *testing.T, id string) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if status, body := r.Do(t, "GET", "/predictions/"+id, nil); status == 200 {
			if p := decodePrediction(t, body); p.Status == "completed" {
				return
			}
		}
	}
	t.Fatal("the prediction does not complete")
}

// writeTime returns how long a connection and a write take, which nothing waits for but the machine.
func writeTime(t *testing.T, r *storetest.Replica) time.Duration {
	t.Helper()
	begin := time.Now()
	storetest.Exec(t, r.URL(), `SELECT pg_logical_emit_message(true, 'test', '')`)
	return time.Since(begin).Round(time.Millisecond)
}

// setZero points p at a zero value, of a type that this package cannot name.
func setZero[T any](p **T) { *p = new(T) }

// serveName makes the name db.failover.test stand for addresses, in this order, until the test ends.
func serveName(t *testing.T, addresses ...string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answering sync.WaitGroup
	answering.Go(func() {
		query := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(nameAnswer(query[:n], addresses), from)
		}
	})
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		_ = conn.Close()
		answering.Wait()
	})
}

// nameAnswer answers a DNS query for addresses (RFC 1035); there are none of IPv6.
func nameAnswer(query []byte, addresses []string) []byte {
	const header, typeA = 12, 1
	end := header
	for query[end] != 0 {
		end += 1 + int(query[end])
	}
	question := query[header : end+5] // name, type, class
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if binary.BigEndian.Uint16(question[len(question)-4:]) != typeA {
		return answer
	}
	answer[7] = byte(len(addresses))
	for _, address := range addresses {
		answer = append(answer, 0xC0, header, 0, typeA, 0, 1, 0, 0, 0, 1, 0, 4)
		answer = append(answer, net.ParseIP(address).To4()...)
	}
	return answer
}
