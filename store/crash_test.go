package store_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/tuple"
)

// committerURL makes the test binary a worker that stops in the middle of a commit.
const committerURL = "MILLRACE_TEST_COMMITTER_URL"

func TestMain(m *testing.M) {
	if u := os.Getenv(committerURL); u != "" {
		commitHalf(u)
	}
	os.Exit(leaks(m.Run()))
}

// commitHalf claims a part, sends half of its blocks, reports that and waits to be killed.
func commitHalf(u string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Config{URL: u, Lease: 200 * time.Millisecond})
	if err != nil {
		panic(err)
	}
	c, err := s.Ledger.ClaimPart(ctx, "victim")
	if err != nil {
		panic(err)
	}
	batch := scoredBatch(scoredRows(c.Part, nil))
	blocks, err := tuple.NewBlockEncoder(c.PredictionID).AppendBlocks(nil, batch)
	if err != nil {
		panic(err)
	}
	half := io.MultiReader(bytes.NewReader(blocks[:len(blocks)/2]), readFunc(func([]byte) (int, error) {
		fmt.Println("half")
		select {}
	}))
	_, err = s.Ledger.CommitPart(ctx, c, store.PartResult{Scored: c.Part.Rows}, half)
	panic(err)
}

func TestKillOfACommittingProcess(t *testing.T) {
	b := newBench(t, store.Config{Lease: 200 * time.Millisecond})
	p := b.upload(300_000)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), committerURL+"="+b.url)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "half\n" {
		t.Fatalf("the victim said %q: %v", line, err)
	}
	b.noClaim() // it lives, and holds the row
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	c := b.suspectWithin(time.Minute)
	if c.Attempt != 1 || c.Deaths != 1 || c.Part.No != 0 {
		t.Fatalf("%+v", c)
	}
	wantEqual(t, "blocks", ask[int](b, `SELECT count(*)::int FROM prediction_blocks`), 0)
	if err := b.finish(b.mustScore(c)); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "rows", b.reload(p).Scored, 300_000)
	wantEqual(t, "stored rows", ask[int](b, `SELECT count(DISTINCT row_no)::int FROM prediction_rows`), 300_000)
}

// suspectWithin waits for a lease that has to run out, and for the server to notice that a worker is gone.
func (b bench) suspectWithin(d time.Duration) *store.Claim {
	b.Helper()
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		b.noClaim()
		c, err := b.Ledger.ReserveSuspect(b.Context(), "heir")
		if err == nil && c != nil {
			err = b.Ledger.Begin(b.Context(), c)
		}
		if err != nil {
			b.Fatal(err)
		}
		if c != nil {
			return c
		}
	}
	b.Fatal("nothing to claim")
	return nil
}

func openAt(t *testing.T, u string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// deafRelay passes everything on to a server, until it is armed: then it cuts the connection right behind the next
// COMMIT, so that the server commits and the client gets no answer.
type deafRelay struct {
	url   string
	armed atomic.Bool
}

func newDeafRelay(t *testing.T, serverURL string) *deafRelay {
	t.Helper()
	u, err := url.Parse(serverURL)
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	u.Host, u.RawQuery = l.Addr().String(), "sslmode=disable"
	r := &deafRelay{url: u.String()}
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go r.serve(client, socket)
		}
	}()
	return r
}

func (r *deafRelay) serve(client net.Conn, socket string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	var deaf atomic.Bool
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if deaf.Load() {
				_ = client.Close()
				_ = server.Close()
				return
			}
			if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
				_ = client.Close()
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if n > 0 && buf[0] == 'Q' && bytes.Contains(buf[:n], []byte("commit")) && r.armed.CompareAndSwap(true, false) {
			deaf.Store(true)
		}
		if _, writeErr := server.Write(buf[:n]); err != nil || writeErr != nil {
			if !deaf.Load() {
				_ = server.Close()
			}
			return
		}
	}
}

func TestCommitWhoseAcknowledgementIsLost(t *testing.T) {
	b := newBench(t, store.Config{})
	relay := newDeafRelay(t, b.url)
	remote := openAt(t, relay.url)
	p := b.upload(100)
	c, err := remote.Ledger.ClaimPart(t.Context(), "w")
	if err != nil {
		t.Fatal(err)
	}
	blocks := encode(t, c.PredictionID, scoredRows(c.Part, nil))
	commit := func() (*store.Claim, error) {
		return remote.Ledger.CommitPart(t.Context(), c, store.PartResult{Scored: 100}, bytes.NewReader(blocks))
	}
	relay.armed.Store(true)
	if last, err := commit(); last != nil || err == nil || errors.Is(err, store.ErrLeaseLost) || !store.Unavailable(err) {
		t.Fatalf("the answer got lost: %+v, %v", last, err)
	}
	for deadline := time.Now().Add(time.Minute); b.reload(p).Scored == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the server did not commit")
		}
	}
	last, err := commit()
	if err != nil || last == nil {
		t.Fatalf("once more: %+v, %v", last, err)
	}
	if err := b.finish(last); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "stored rows", ask[int](b, `SELECT count(*)::int FROM prediction_rows`), 100)

	// An upload whose answer gets lost is there, and the same id again is a conflict.
	u := newUpload(b.user.ID, 5)
	relay.armed.Store(true)
	if _, err := remote.Predictions.CreateUpload(t.Context(), u); err == nil || !store.Unavailable(err) {
		t.Fatalf("the answer got lost: %v", err)
	}
	_, err = remote.Predictions.CreateUpload(t.Context(), u)
	wantErr(t, err, store.ErrConflict)
	wantEqual(t, "predictions", ask[int](b, `SELECT count(*)::int FROM predictions`), 2)
}
