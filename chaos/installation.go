package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/retainwise/millrace/chaos/check"
	"github.com/retainwise/millrace/store/storetest/proxy"
)

// installation is what alerts are provoked on: two APIs, two workers, the servers, and a Prometheus that scrapes.
type installation struct {
	*world
	apis, workers []*member
	prometheus    *prometheus
	load          *traffic
	receiver      *receiver
	bundles       string   // directory of the first API's
	mounted       []string // data directories that are file systems of their own, if run by root
	broken        string   // a millrace with bugs; see brokenBuild
}

// member is a process with addresses that stay the same, and a way to the database of its own.
type member struct {
	*process
	api, admin string
	database   *proxy.Proxy
}

// smallBytes is the size of the file system of a data directory.
const smallBytes = 16 << 20

func startInstallation(ctx context.Context, c config, rules []byte) (_ *installation, err error) {
	c.Mishaps, c.Lease, c.Cores = true, 2*time.Second, 1
	w, err := newWorld(ctx, c, func(s *servers) (*network, error) { return newNetwork(s, "127.0.0.1") })
	if err != nil {
		return nil, err
	}
	i := &installation{world: w}
	defer func() {
		if err != nil {
			i.close()
		}
	}()
	if i.broken, err = brokenBuild(ctx, "..", w.dir); err != nil {
		return nil, err
	}
	if i.receiver, err = startReceiver(); err != nil {
		return nil, err
	}
	i.bundles = filepath.Join(w.dir, "bundles-of-api")
	if err := os.Mkdir(i.bundles, 0o755); err != nil {
		return nil, err
	}
	running, end := context.WithCancel(ctx)
	w.end = end
	if err := i.startMembers(running); err != nil {
		return nil, err
	}
	var targets []string
	for _, m := range i.members() {
		targets = append(targets, m.admin)
	}
	i.prometheus, err = startPrometheus(ctx, c.Prometheus, filepath.Join(w.dir, "prometheus"), hasten(rules), targets)
	if err != nil {
		return nil, err
	}
	if err := i.untilServing(ctx); err != nil {
		return nil, err
	}
	if i.load, err = startTraffic(running, i); err != nil {
		return nil, err
	}
	return i, i.until(ctx, time.Minute, "the first alerts of the start have ended", func() (bool, error) {
		firing, err := i.prometheus.firing(ctx)
		return len(firing) == 0, err
	})
}

func (i *installation) members() []*member {
	return append(append([]*member{}, i.apis...), i.workers...)
}

// ownDisk makes the data directory of a process a file system of its own, where root runs this: how full the machine's disk
// is does not matter then.
func (i *installation) ownDisk(name string) error {
	dir := filepath.Join(i.dir, name)
	if err := os.Mkdir(dir, 0o755); err != nil || os.Geteuid() != 0 {
		return err
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprint("size=", smallBytes)); err != nil {
		return fmt.Errorf("mount a small file system: %w", err)
	}
	i.mounted = append(i.mounted, dir)
	return nil
}

// startMembers starts the processes. Requests are not limited, so that the load may come from one address.
func (i *installation) startMembers(ctx context.Context) error {
	for _, name := range []string{"api-1", "api-2", "worker-1", "worker-2"} {
		m, err := i.newMember(name)
		if err != nil {
			return err
		}
		if strings.HasPrefix(name, "api") {
			i.apis = append(i.apis, m)
		} else {
			i.workers = append(i.workers, m)
		}
		i.run(ctx, m.process)
	}
	return nil
}

func (i *installation) newMember(name string) (*member, error) {
	m := new(member)
	if err := i.ownDisk(name); err != nil {
		return nil, err
	}
	socket, err := socketOf(i.servers.DatabaseURL)
	if err == nil {
		m.database, err = proxy.New("127.0.0.1", "unix", socket)
	}
	if err != nil {
		return nil, err
	}
	database, err := through(i.servers.DatabaseURL, m.database.Address())
	if err != nil {
		return nil, err
	}
	if m.api, err = freeAddress(); err != nil {
		return nil, err
	}
	if m.admin, err = freeAddress(); err != nil {
		return nil, err
	}
	args := []string{"--admin-listen", m.admin, "--sweep-after", "1s"}
	switch name {
	case "api-1":
		args = append(args, "--role", "api", "--listen", m.api, "--database-conns", "8", "--bundles", i.bundles)
	case "api-2":
		args = append(args, "--role", "api", "--listen", m.api, "--database-conns", "8")
	default:
		args = append(args, "--role", "worker")
	}
	m.process = i.newProcessOn(way{database, i.network.objects, i.network.queue}, name, args...)
	m.env = append(m.env, "MILLRACE_CANARY=5s", "RATE_DEFAULT=0", "RATE_UPLOAD=0", "RATE_SCORE=0", "RATE_DOWNLOAD=0",
		"WAITING_MAX=0", "MILLRACE_CUSTOMER_SECRET="+strings.Repeat("s", 32), "WEBHOOK_URL="+i.receiver.url,
		"WEBHOOK_ALLOW_PRIVATE=true", "WEBHOOK_SECRETS=whsec_"+strings.Repeat("A", 32))
	return m, nil
}

// untilServing waits until all processes are scraped, reach everything, and a canary has come through.
func (i *installation) untilServing(ctx context.Context) error {
	const well = `count(up{job="millrace"} == 1) == 4 and min(millrace_dependency_up) == 1 ` +
		`and time() - max(millrace_canary_last_success_timestamp_seconds) < 10`
	return i.until(ctx, 90*time.Second, "all processes serve", func() (bool, error) {
		return i.prometheus.holds(ctx, well)
	})
}

// until waits for at most a time until something is so.
func (i *installation) until(ctx context.Context, most time.Duration, what string, is func() (bool, error)) error {
	for begin := time.Now(); ; wait(ctx, 100*time.Millisecond) {
		ok, err := is()
		if ok || err != nil {
			return err
		}
		if time.Since(begin) > most || ctx.Err() != nil {
			return fmt.Errorf("not so after %s: %s", most, what)
		}
	}
}

// upload sends a file as a user of the same name through the first API, and waits for its result if that is wanted.
func (i *installation) upload(ctx context.Context, name string, file []byte, finished bool) (id string, err error) {
	c := newClient("http://"+i.apis[0].api, "http://"+i.apis[0].admin, i.issuer, i.notes)
	id, err = c.upload(ctx, name, "telecom", &input{Input: check.Input{CSV: file}, explain: "none"})
	if err != nil || !finished {
		return id, err
	}
	return id, i.until(ctx, time.Minute, name+" is scored", func() (done bool, err error) {
		err = i.db.QueryRow(ctx, `SELECT status = 'completed' FROM predictions WHERE public_id = $1`, id).Scan(&done)
		return done, err
	})
}

func (i *installation) close() {
	if i.load != nil {
		i.load.stop()
	}
	if i.prometheus != nil {
		i.prometheus.stop()
	}
	for _, m := range i.members() {
		m.release() // what is held would never end
	}
	i.stop()
	for _, m := range i.members() {
		m.database.Close()
	}
	if i.receiver != nil {
		_ = i.receiver.server.Close()
	}
	for _, dir := range i.mounted {
		_ = syscall.Unmount(dir, 0)
	}
	i.world.close()
}

// receiver takes webhooks.
type receiver struct {
	url    string
	server *http.Server
	fails  atomic.Bool
}

func startReceiver() (*receiver, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &receiver{url: "http://" + l.Addr().String()}
	r.server = &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if r.fails.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}),
	}
	go func() { _ = r.server.Serve(l) }() // ends with Close
	return r, nil
}

// telecomRows are the first rows of the bundled sample, under its header.
func telecomRows(n int) ([]byte, error) {
	text, err := os.ReadFile("../testdata/samples/telecom_10k.csv")
	if err != nil {
		return nil, err
	}
	lines := bytes.SplitAfterN(text, []byte("\n"), n+2)
	return bytes.Join(lines[:min(len(lines), n+1)], nil), nil
}
