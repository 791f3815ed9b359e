package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// attackOrder is what a process of attackers reads from its standard input.
type attackOrder struct {
	Name, Address, Token, Big string
}

// attacker is one process; all its connections are of one user and one address.
type attacker struct {
	attackOrder
	header, row string // of a file
}

// attackOn does what the order says until ctx ends.
func attackOn(ctx context.Context, in io.Reader) error {
	a := &attacker{
		header: "customerID,tenure,MonthlyCharges,TotalCharges,Contract\n", row: "A-1,5,70.35,350.5,Month-to-month\n",
	}
	if err := json.NewDecoder(in).Decode(&a.attackOrder); err != nil {
		return err
	}
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) == nil {
		files.Cur = files.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	}
	for _, kind := range attacks {
		if kind.name == a.Name {
			kind.do(ctx, a, kind.callers)
			return nil
		}
	}
	return fmt.Errorf("no attack %q", a.Name)
}

// each runs n attackers until ctx ends, each again and again.
func each(ctx context.Context, n int, pause time.Duration, do func(ctx context.Context, i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				do(ctx, i)
				wait(ctx, pause)
			}
		})
	}
	all.Wait()
}

// dial connects; small windows make the server wait for a client that does not read.
func (a *attacker) dial(ctx context.Context, window int) net.Conn {
	dialer := net.Dialer{Timeout: 5 * time.Second, Control: func(_, _ string, c syscall.RawConn) error {
		if window == 0 {
			return nil
		}
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, window) })
	}}
	c, err := dialer.DialContext(ctx, "tcp", a.Address)
	if err != nil {
		return nil
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	return c
}

// slowSenders send bodies at little more than the least rate that is accepted: half of them rows to score in chunks, half
// of them uploads of 50 MB.
func slowSenders(ctx context.Context, a *attacker, n int) {
	const pause = 100 * time.Millisecond
	lines := 1 + 17_500*int(pause)/int(time.Second)/len(a.row)
	piece := []byte{}
	for range lines {
		piece = append(piece, a.row...)
	}
	each(ctx, n, 500*time.Millisecond, func(ctx context.Context, i int) {
		c := a.dial(ctx, 0)
		if c == nil {
			return
		}
		defer func() { _ = c.Close() }()
		head, format := "POST /upload?filename=x.csv", "%s"
		framing := "Content-Length: 50000000"
		if i%2 == 0 {
			head, framing = "POST /score", "Transfer-Encoding: chunked"
		}
		_, err := fmt.Fprintf(c, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/csv\r\n%s\r\n\r\n", head,
			a.Token, framing)
		if i%2 == 0 {
			piece := piece
			format = fmt.Sprintf("%x\r\n%%s\r\n", len(piece))
			_, err = fmt.Fprintf(c, "%x\r\n%s\r\n", len(a.header), a.header)
		} else {
			_, _ = io.WriteString(c, a.header)
		}
		gone := make(chan struct{})
		go func() { // an answer means that the place is gone; ends with the connection
			defer close(gone)
			_, _ = c.Read(make([]byte, 1))
		}()
		for err == nil && ctx.Err() == nil {
			select {
			case <-gone:
				return
			case <-time.After(pause):
				_, err = fmt.Fprintf(c, format, piece)
			}
		}
	})
}

// slowRead asks for something and reads next to nothing of it.
func (a *attacker) slowRead(ctx context.Context, header string) {
	c := a.dial(ctx, 2048)
	if c == nil {
		return
	}
	defer func() { _ = c.Close() }()
	if _, err := io.WriteString(c, header+"\r\n"); err != nil {
		return
	}
	for ctx.Err() == nil {
		if _, err := c.Read(make([]byte, 512)); err != nil {
			return
		}
		wait(ctx, 5*time.Second)
	}
}

func slowAssets(ctx context.Context, a *attacker, n int) {
	each(ctx, n, time.Second, func(ctx context.Context, _ int) {
		a.slowRead(ctx, "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n")
	})
}

func slowDownloads(ctx context.Context, a *attacker, n int) {
	each(ctx, n, time.Second, func(ctx context.Context, _ int) {
		a.slowRead(ctx, "GET /predictions/"+a.Big+"/download HTTP/1.1\r\nHost: x\r\nAccept-Encoding: zstd\r\nAuthorization: Bearer "+a.Token+"\r\n")
	})
}

// get fetches something and drops it.
func (a *attacker) get(ctx context.Context, client *http.Client, path, token string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.Address+path, nil)
	if err != nil {
		return
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if r, err := client.Do(request); err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
		_ = r.Body.Close()
	}
}

func keyFlood(ctx context.Context, a *attacker, n int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	each(ctx, n, 0, func(ctx context.Context, _ int) {
		var secret [32]byte
		_, _ = rand.Read(secret[:])
		a.get(ctx, client, "/predictions", "mr_"+base64.RawURLEncoding.EncodeToString(secret[:]))
	})
}

func assetFlood(ctx context.Context, a *attacker, n int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n, DisableCompression: true}}
	each(ctx, n, 0, func(ctx context.Context, _ int) { a.get(ctx, client, "/docs/swagger-ui-bundle.js", "") })
}

// streamFlood opens streams of predictions that are being scored, and of one that is done, and drops some.
func streamFlood(ctx context.Context, a *attacker, n int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: n}}
	var mu sync.Mutex
	id := a.Big
	var all sync.WaitGroup
	all.Go(func() {
		each(ctx, 1, time.Second, func(ctx context.Context, _ int) {
			if made := a.upload(ctx, client); made != "" {
				mu.Lock()
				id = made
				mu.Unlock()
			}
		})
	})
	each(ctx, n, 100*time.Millisecond, func(ctx context.Context, i int) {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(i%5+1)*time.Second)
		defer cancel()
		mu.Lock()
		path := "/predictions/" + id + "/events"
		mu.Unlock()
		a.get(ctx, client, path, a.Token)
	})
	all.Wait()
}

// upload sends a file that takes a while, and returns its prediction; empty if it was refused.
func (a *attacker) upload(ctx context.Context, client *http.Client) string {
	file := append([]byte(a.header), bytes.Repeat([]byte(a.row), 50_000)...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.Address+"/upload?model=telecom&explain=none", bytes.NewReader(file))
	if err != nil {
		return ""
	}
	request.Header.Set("Authorization", "Bearer "+a.Token)
	request.Header.Set("Content-Type", "text/csv")
	r, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = r.Body.Close() }()
	var made struct {
		ID string `json:"prediction_id"`
	}
	_ = json.NewDecoder(r.Body).Decode(&made)
	return made.ID
}

// attackFromStandardInput is the process of attackers.
func attackFromStandardInput(ctx context.Context) error { return attackOn(ctx, os.Stdin) }
