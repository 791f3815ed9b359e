package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/retainwise/millrace/serve"
)

const (
	largeUploads = 5
	smallAlone   = 20 // small uploads in a round without large ones
)

// runFairness measures how long small files take on a service that has nothing else to do, and while it has five large
// ones in hand, in turns; first those of another user, then those of the same. Service, database and client share the
// cores.
func runFairness(ctx context.Context, o Options, r *Report) (err error) {
	s, err := startServer(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	large := customersOf(o.Sample, o.pick(100_000, 100)).uploadCall()
	large.header, large.done = nil, false // no upload waits for its end
	j := jobs{
		small: customersOf(o.Sample, o.pick(1000, 20)).uploadCall(), large: large,
		rounds: o.pick(max(1, int(5*o.Seconds)), 1), alone: o.pick(smallAlone, 2),
	}
	if j.owner, err = s.as("owner"); err != nil {
		return err
	}
	for _, user := range []string{"another", "owner"} {
		sender, err := s.as(user)
		if err != nil {
			return err
		}
		if err := r.addFairness(ctx, j, user, sender); err != nil {
			return err
		}
	}
	r.addUsage(s)
	return nil
}

// as is the service as a user sees it.
func (s *server) as(user string) (*server, error) {
	issuer, err := serve.NewDevelopmentIssuer(s.dir)
	if err != nil {
		return nil, err
	}
	token, err := issuer.Token(user, time.Hour)
	return &server{url: s.url, client: s.client, token: token}, err
}

// jobs are the two kinds of files, and who sends the large ones.
type jobs struct {
	small, large  call
	owner         *server
	rounds, alone int
}

func (r *Report) addFairness(ctx context.Context, j jobs, user string, sender *server) error {
	sender.repeat(ctx, j.small, 5) // plans are made
	var alone, beside, large []sample
	for range j.rounds {
		alone = append(alone, sender.repeat(ctx, j.small, j.alone)...)
		samples, took, err := j.beside(ctx, sender)
		if err != nil {
			return err
		}
		beside, large = append(beside, samples...), append(large, sample{took: took})
	}
	note := fmt.Sprintf("upload of %d rows to completed, all explained", j.small.rows)
	if err := r.addLatency(latency{Name: user + "/alone", Note: note}, j.small.rows, alone); err != nil {
		return err
	}
	note = fmt.Sprintf("the same while %d files of %d rows are scored, which owner sent", largeUploads, j.large.rows)
	if err := r.addLatency(latency{Name: user + "/beside", Note: note}, j.small.rows, beside); err != nil {
		return err
	}
	l := latency{Name: user + "/large", Note: "those files, from received to completed"}
	if err := r.addLatency(l, largeUploads*j.large.rows, large); err != nil {
		return err
	}
	r.atMost(fmt.Sprintf("%d rows by %s beside %d files of %d, P95 / P95 alone", j.small.rows, user, largeUploads,
		j.large.rows), 2, "x", r.findLatency(user+"/beside").P95/r.findLatency(user+"/alone").P95)
	return nil
}

// beside sends small files, one behind the other, from when all large ones are received until all are scored, which is
// the time that it gives.
func (j jobs) beside(ctx context.Context, sender *server) (samples []sample, took time.Duration, err error) {
	var ids [largeUploads]string
	for i := range ids {
		if ids[i], err = j.owner.upload(ctx, j.large); err != nil {
			return nil, 0, err
		}
	}
	begin := time.Now()
	for _, id := range ids {
		for {
			samples = append(samples, sender.repeat(ctx, j.small, 1)...) // one at least, however fast the large ones are
			done, err := j.owner.completed(ctx, id)
			if err != nil {
				return nil, 0, err
			}
			if done {
				break
			}
		}
	}
	return samples, time.Since(begin), nil
}

// completed reports whether a prediction is; one that never will be is an error.
func (s *server) completed(ctx context.Context, id string) (bool, error) {
	var p struct{ Status string }
	if err := s.get(ctx, "/predictions/"+id, &p); err != nil {
		return false, err
	}
	switch p.Status {
	case "completed":
		return true, nil
	case "queued", "running":
		return false, nil
	}
	return false, fmt.Errorf("the prediction is %s", p.Status)
}
