package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clientsMax  = 32
	usualPause  = 200 * time.Millisecond // of a client, between requests
	usual       = 4                      // clients
	uploadPause = 2 * time.Second
	loadRows    = 600 // of a file: drift is not judged by fewer than 500
)

// traffic is what customers do meanwhile: they look at their predictions, and send small files. Each client is another
// user.
type traffic struct {
	clients atomic.Int32 // at most clientsMax
	pause   atomic.Int64 // nanoseconds
	file    atomic.Pointer[[]byte]

	sent, failed atomic.Int64

	stop func() // and waits
}

func startTraffic(ctx context.Context, i *installation) (*traffic, error) {
	t := new(traffic)
	t.usual()
	file, err := telecomRows(loadRows)
	if err != nil {
		return nil, err
	}
	t.file.Store(&file)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	t.stop = func() {
		cancel()
		group.Wait()
	}
	for n := range clientsMax {
		group.Go(func() { t.read(ctx, i, n) })
	}
	group.Go(func() { t.send(ctx, i) })
	return t, nil
}

func (t *traffic) usual() { t.set(usual, usualPause) }

func (t *traffic) set(clients int, pause time.Duration) {
	t.pause.Store(int64(pause))
	t.clients.Store(int32(clients))
}

// read asks for a list again and again, as the nth client.
func (t *traffic) read(ctx context.Context, i *installation, n int) {
	api := "http://" + i.apis[n%len(i.apis)].api
	c := newClient(api, "", i.issuer, i.notes)
	token := i.issuer.token(fmt.Sprint("reader-", n))
	for ctx.Err() == nil {
		if n >= int(t.clients.Load()) {
			wait(ctx, 50*time.Millisecond)
			continue
		}
		status, _, err := c.do(ctx, http.MethodGet, api+"/predictions?limit=5", token, "", nil)
		t.count(ctx, err == nil && status == http.StatusOK)
		wait(ctx, time.Duration(t.pause.Load()))
	}
}

// send sends a file every second, and does not wait for its result.
func (t *traffic) send(ctx context.Context, i *installation) {
	for n := 0; ctx.Err() == nil; n++ {
		api := "http://" + i.apis[n%len(i.apis)].api
		c := newClient(api, "", i.issuer, i.notes)
		user := fmt.Sprint("sender-", n)
		status, _, err := c.do(ctx, http.MethodPost, api+"/upload?model=telecom&filename=load.csv", i.issuer.token(user), user, *t.file.Load())
		t.count(ctx, err == nil && status/100 == 2)
		wait(ctx, uploadPause)
	}
}

func (t *traffic) count(ctx context.Context, good bool) {
	if ctx.Err() != nil {
		return
	}
	if t.sent.Add(1); !good {
		t.failed.Add(1)
	}
}
