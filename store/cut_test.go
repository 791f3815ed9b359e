package store_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/retainwise/millrace/store"
)

// cutRelay forwards to a server, until it cuts the connection in place of the nth message of the client, or right behind
// it: then the server executes it and the client gets no answer.
type cutRelay struct {
	url    string
	left   atomic.Int64 // 0: never
	behind atomic.Bool
}

func newCutRelay(t *testing.T, serverURL string) *cutRelay {
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
	r := &cutRelay{url: u.String()}
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

func (r *cutRelay) serve(client net.Conn, socket string) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if _, writeErr := client.Write(buf[:n]); err != nil || writeErr != nil {
				_ = client.Close()
				return
			}
		}
	}()
	buf := make([]byte, 1<<20)
	for {
		n, err := client.Read(buf)
		cut := r.left.Load() > 0 && r.left.Add(-1) == 0
		if err != nil || cut && !r.behind.Load() {
			return
		}
		if _, err := server.Write(buf[:n]); err != nil || cut {
			return
		}
	}
}

// Wherever the connection breaks, the call returns an outage and has changed nothing: the same call works
// as if it had not been made before.
func TestConnectionCutAnywhere(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(b bench) any
		call    func(b bench, s *store.Store, given any) error
		want    string // state afterwards: status of the prediction, rows stored
	}{
		"create upload": {
			func(b bench) any { return newUpload(b.user.ID, 10, 10) },
			func(_ bench, s *store.Store, u any) error {
				_, err := s.Predictions.CreateUpload(ctx(), u.(store.NewUpload))
				if errors.Is(err, store.ErrConflict) {
					return nil // it was read back that failed: the upload is there
				}
				return err
			}, "queued 0",
		},
		"enqueue object": {
			func(b bench) any { return dropped(b.user.ID) },
			func(_ bench, s *store.Store, o any) error {
				_, _, err := s.Predictions.EnqueueObject(ctx(), o.(store.NewObject))
				return err
			},
			"queued 0",
		},
		"plan part": {
			func(b bench) any {
				if _, _, err := b.Predictions.EnqueueObject(ctx(), dropped(b.user.ID)); err != nil {
					b.Fatal(err)
				}
				return b.claim("w")
			},
			func(_ bench, s *store.Store, c any) error { return s.Ledger.PlanPart(ctx(), c.(*store.Claim), plan()) }, "running 0",
		},
		"commit part": {
			func(b bench) any { b.upload(1500); return b.claim("w") },
			func(b bench, s *store.Store, c any) error {
				_, err := bench{b.TB, s, b.url, b.user}.score(c.(*store.Claim), nil)
				return err
			}, "running 1500",
		},
		"finish": {
			func(b bench) any { b.upload(10); return b.mustScore(b.claim("w")) },
			func(b bench, s *store.Store, c any) error {
				return bench{b.TB, s, b.url, b.user}.finish(c.(*store.Claim))
			}, "completed 10",
		},
		"fail part": {
			func(b bench) any { b.upload(10); return b.claim("w") },
			func(_ bench, s *store.Store, c any) error {
				return s.Ledger.FailPart(ctx(), c.(*store.Claim), store.Failure{Code: "ERR-1500", Permanent: true})
			}, "failed 0",
		},
		"give part back": {
			func(b bench) any { b.upload(10); return b.claim("w") },
			func(_ bench, s *store.Store, c any) error { return s.Ledger.ReleasePart(ctx(), c.(*store.Claim)) }, "queued 0",
		},
		"cancel": {
			func(b bench) any { p := b.upload(10, 10); b.mustScore(b.claim("w")); return p },
			func(b bench, s *store.Store, p any) error {
				_, err := s.Predictions.Cancel(ctx(), b.user.ID, p.(store.Prediction).ID)
				return err
			}, "cancelled 10",
		},
		"retry": {
			func(b bench) any {
				p := b.upload(10, 10)
				b.mustScore(b.claim("w"))
				if _, err := b.Predictions.Cancel(ctx(), b.user.ID, p.ID); err != nil {
					b.Fatal(err)
				}
				return p
			},
			func(_ bench, s *store.Store, p any) error {
				return s.Upkeep.Retry(ctx(), p.(store.Prediction).ID, store.Model{})
			},
			"queued 0",
		},
		"sweep": {
			func(b bench) any { return b.upload(10) },
			func(_ bench, s *store.Store, _ any) error { _, err := s.Outbox.Sweep(ctx(), 0); return err }, "queued 0",
		},
		"commit part with training rows": {
			func(b bench) any { b.upload(10); return b.claim("w") },
			func(b bench, s *store.Store, c any) error { return b.keepTraining(s, c.(*store.Claim), 1) }, "running 10",
		},
		"record outcomes": {
			func(b bench) any {
				b.upload(10)
				c := b.claim("w")
				if err := b.keepTraining(b.Store, c, 1); err != nil {
					b.Fatal(err)
				}
				return b.outcome(1, true)
			},
			func(b bench, s *store.Store, o any) error {
				_, err := s.Predictions.RecordOutcomes(ctx(), b.user.ID, []store.Outcome{o.(store.Outcome)}, countRows)
				return err
			}, "running 10",
		},
		"rows": {
			func(b bench) any { p := b.upload(1500); b.mustScore(b.claim("w")); return p },
			func(b bench, s *store.Store, p any) error {
				for _, order := range []store.Order{store.ByRow, store.ByProbability} {
					_, err := s.Predictions.Rows(ctx(), b.user.ID, p.(store.Prediction).ID, store.RowQuery{Limit: 900, Order: order})
					if err != nil {
						return err
					}
				}
				return nil
			}, "running 1500",
		},
		"lists": {
			func(b bench) any { p := b.upload(10); b.mustScore(b.claim("w")); return p },
			func(b bench, s *store.Store, p any) error {
				_, err1 := s.Predictions.List(ctx(), b.user.ID, store.ListQuery{Limit: 5})
				_, err2 := s.Upkeep.DeadLetters(ctx(), store.DeadFilter{}, nil, 5)
				_, err3 := s.Upkeep.Attempts(ctx(), p.(store.Prediction).ID)
				_, err4 := s.Ledger.Parts(ctx(), &store.Claim{PredictionID: p.(store.Prediction).InternalID, Generation: 1})
				_, err5 := s.Outbox.Claim(ctx(), 5)
				for _, err := range []error{err1, err2, err3, err4, err5} {
					if err != nil && !store.Unavailable(err) {
						return err
					}
				}
				return errors.Join(err1, err2, err3, err4, err5)
			}, "running 10",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cuts := 0
			b := newBench(t, store.Config{})
			for n := int64(1); ; n++ {
				b.exec(`TRUNCATE uploads, prediction_blocks, ml_training_data, outcome_reports CASCADE`)
				given := c.prepare(b)
				relay := newCutRelay(t, b.url)
				remote := openAt(t, relay.url)
				relay.left.Store(n)
				err := c.call(b, remote, given)
				relay.left.Store(0)
				if err == nil {
					break
				}
				if cuts++; cuts > 40 {
					t.Fatal("no end")
				}
				if !store.Unavailable(err) {
					t.Errorf("cut %d: %v", n, err)
				}
				if err := c.call(b, b.Store, given); err != nil {
					t.Errorf("cut %d, once more: %v", n, err)
				}
				got := ask[string](b, `SELECT string_agg(status, ' ') FROM predictions`) + " " +
					fmt.Sprint(ask[int](b, `SELECT count(*)::int FROM prediction_rows`))
				wantEqual(t, fmt.Sprintf("after cut %d", n), got, c.want)
			}
			if cuts == 0 {
				t.Error("nothing was cut")
			}
		})
	}
}
