package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

const (
	controlPerSecond = 1000
	scoreRows        = 10_000
)

// runAPI measures the API of a service of its own: control routes under a steady load, then synchronous scoring.
func runAPI(ctx context.Context, o Options, r *Report) (err error) {
	s, err := startServer(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	file := customersOf(o.Sample, o.pick(scoreRows, 50))
	id, err := s.upload(ctx, file.uploadCall())
	if err != nil {
		return err
	}
	if err := r.loadControl(ctx, s, o, id); err != nil {
		return err
	}
	for _, explain := range []string{"none", "all"} {
		c := call{
			name: "score/" + explain, method: http.MethodPost, path: "/score?model=telecom&explain=" + explain,
			body: file.text, status: http.StatusOK, rows: file.rows,
		}
		note := fmt.Sprintf("POST /score of %d rows", file.rows)
		s.repeat(ctx, c, 3) // buffers grow
		samples := s.repeat(ctx, c, o.pick(int(100*o.Seconds), 2))
		if err := r.addLatency(latency{Name: c.name, Note: note}, c.rows, samples); err != nil {
			return err
		}
	}
	r.addUsage(s)
	r.atMost("control routes at 1,000 requests a second, P95", 10, "ms", r.findLatency("control").P95)
	r.atMost("score 10,000 rows, P95", 25, "ms", r.findLatency("score/none").P95)
	r.atMost("score and explain 10,000 rows, P95", 60, "ms", r.findLatency("score/all").P95)
	return nil
}

// loadControl asks the routes that people and dashboards ask all day, in turn.
func (r *Report) loadControl(ctx context.Context, s *server, o Options, id string) error {
	get := func(path string) call {
		return call{name: path, method: http.MethodGet, path: path, status: http.StatusOK}
	}
	calls := []call{
		get("/health"), get("/models"), get("/predictions?limit=20"), get("/predictions/" + id),
		get("/predictions/" + id + "/rows?limit=100"),
	}
	calls[3].name, calls[4].name = "/predictions/{id}", "/predictions/{id}/rows?limit=100"
	s.arrivals(ctx, calls, controlPerSecond, o.pick(2000, 10)) // connections open, plans are made
	byCall := s.arrivals(ctx, calls, controlPerSecond, o.pick(int(10*controlPerSecond*o.Seconds), 50))
	var all []sample
	for i, samples := range byCall {
		l := latency{Name: calls[i].name, PerSecond: float64(controlPerSecond) / float64(len(calls))}
		if err := r.addLatency(l, 0, samples); err != nil {
			return err
		}
		all = append(all, samples...)
	}
	return r.addLatency(latency{Name: "control", Note: "all of them", PerSecond: controlPerSecond}, 0, all)
}

// upload sends a file as the call says and gives the prediction's id.
func (s *server) upload(ctx context.Context, c call) (string, error) {
	if err := s.send(ctx, c); err != nil {
		return "", err
	}
	var page struct {
		Predictions []struct {
			ID string `json:"prediction_id"`
		}
	}
	if err := s.get(ctx, "/predictions?limit=1", &page); err != nil {
		return "", err
	}
	if len(page.Predictions) == 0 {
		return "", errors.New("the upload left no prediction")
	}
	return page.Predictions[0].ID, nil
}

// get asks for a resource.
func (s *server) get(ctx context.Context, path string, resource any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(resource)
}
