package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// slowDatabase makes every answer of PostgreSQL late. When it ends, many fast requests make up for the slow ones, for
// which a real installation would take days.
func slowDatabase(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	i.delayDatabase(120 * time.Millisecond)
	return func(context.Context) error {
		i.delayDatabase(0)
		i.load.set(clientsMax/2, 5*time.Millisecond)
		return nil
	}, nil
}

func (i *installation) delayDatabase(by time.Duration) {
	for _, m := range i.members() {
		m.database.Impair(proxy.ToClient, proxy.Fault{Latency: by})
	}
}

// fullPool has more requests than connections while each takes long.
func fullPool(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	i.load.set(clientsMax, 0)
	i.delayDatabase(120 * time.Millisecond)
	return func(context.Context) error {
		i.delayDatabase(0)
		i.load.set(clientsMax/2, 5*time.Millisecond)
		return nil
	}, nil
}

// refuseUploads refuses what workers read.
func refuseUploads(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	i.gate.refusal.Store(&refusal{code: "AccessDenied", status: http.StatusForbidden, only: func(r *http.Request) bool {
		return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/uploads/")
	}})
	return i.endRefusal, nil
}

func (i *installation) endRefusal(context.Context) error {
	i.gate.refusal.Store(nil)
	return nil
}

func cutWorkerOff(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	w := i.workers[1]
	w.database.Cut()
	return func(context.Context) error { return w.database.Restore() }, nil
}

func refuseModel(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	dir := filepath.Join(i.bundles, "damaged")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	for _, name := range []string{"bundle.yaml", "manifest.sha256"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("damaged"), 0o600); err != nil {
			return nil, err
		}
	}
	return func(context.Context) error { return os.RemoveAll(dir) }, nil
}

func fillDisk(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	name := filepath.Join(i.dir, i.apis[1].name, "fill")
	if err := os.WriteFile(name, make([]byte, smallBytes-smallBytes/16), 0o600); err != nil {
		return nil, err
	}
	return func(context.Context) error { return os.Remove(name) }, nil
}

func limitMemory(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	return i.change(ctx, i.workers[0], func(p *process) { p.env = append(p.env, "GOMEMLIMIT=20MiB") })
}

// change restarts a member with something else. What it returns restarts it as it was.
func (i *installation) change(
	ctx context.Context, m *member, change func(*process),
) (back func(context.Context) error, err error) {
	restart := func(ctx context.Context, change func(*process)) error {
		m.hold(syscall.SIGTERM)
		defer m.release()
		err := i.until(ctx, time.Minute, m.name+" has ended", func() (bool, error) { return !m.runs(), nil })
		if err == nil {
			change(m.process)
		}
		return err
	}
	env, program := m.env, m.program
	return func(ctx context.Context) error {
		return restart(ctx, func(p *process) { p.env, p.program = env, program })
	}, restart(ctx, func(p *process) { p.env = append([]string{}, env...); change(p) })
}

func killWorkers(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	return hold(i.workers), nil
}

func killAll(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	return hold(i.members()), nil
}

// hold kills processes, and returns what starts them again.
func hold(list []*member) func(context.Context) error {
	for _, m := range list {
		m.hold(syscall.SIGKILL)
	}
	return func(context.Context) error {
		for _, m := range list {
			m.release()
		}
		return nil
	}
}

func stopDatabase(_ context.Context, i *installation) (end func(context.Context) error, err error) {
	for _, m := range i.members() {
		m.database.Cut()
	}
	return func(context.Context) error {
		var err error
		for _, m := range i.members() {
			err = errors.Join(err, m.database.Restore())
		}
		return err
	}, nil
}

// stopLink stops a server for all processes.
func stopLink(name string) func(context.Context, *installation) (func(context.Context) error, error) {
	return func(_ context.Context, i *installation) (end func(context.Context) error, err error) {
		for _, l := range i.network.links {
			if l.name == name {
				l.proxy.Cut()
				return func(context.Context) error { return l.proxy.Restore() }, nil
			}
		}
		return nil, fmt.Errorf("no link to %s", name)
	}
}

// failStorage has S3 answer with errors, while many files are sent.
func failStorage(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	i.gate.refusal.Store(&refusal{code: "InternalError", status: http.StatusInternalServerError})
	file, err := telecomRows(loadRows)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for n := range 12 {
		group.Go(func() { _, _ = i.upload(ctx, fmt.Sprint("fails-", n), file, false) }) // again and again, until it is accepted
	}
	return func(ctx context.Context) error {
		err := i.endRefusal(ctx)
		cancel()
		group.Wait()
		return err
	}, err
}

// pauseWorkers stops each worker in turn until the other has its parts. PostgreSQL is slow, so that there are always parts
// in hand.
func pauseWorkers(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	file, err := telecomRows(10_000)
	if err != nil {
		return nil, err
	}
	i.delayDatabase(50 * time.Millisecond)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := i.upload(ctx, fmt.Sprint("paused-", n), file, false); err != nil {
				return
			}
			wait(ctx, 3*time.Second)
		}
	})
	group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			m := i.workers[n%len(i.workers)]
			wait(ctx, time.Second)
			m.stop()
			wait(ctx, i.config.Lease*3/2)
			m.resume()
		}
	})
	return func(context.Context) error {
		cancel()
		group.Wait()
		i.delayDatabase(0)
		return nil
	}, nil
}

// runBroken restarts the workers as builds with bugs: one whose kernel and bytes are wrong, one that loses rows.
func runBroken(ctx context.Context, i *installation) (end func(context.Context) error, err error) {
	var ends []func(context.Context) error
	for n, words := range []string{"leaves bytes", "rows"} {
		back, failed := i.change(ctx, i.workers[n], func(p *process) {
			p.program, p.env = i.broken, append(p.env, "BROKEN="+words)
		})
		ends, err = append(ends, back), errors.Join(err, failed)
	}
	return func(ctx context.Context) error {
		var err error
		for _, back := range ends {
			err = errors.Join(err, back(ctx))
		}
		return err
	}, err
}
