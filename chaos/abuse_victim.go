package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// victim is the customers who use the service as it is meant. There are many, so that no limit per user is in their way.
type victim struct {
	server *victimServer
	http   http.Client
	file   []byte
	tokens []string
	turn   int
}

// victimUsers is how many: more than one sends requests in the time of a run, at the default rates.
const victimUsers = 40

// prepare fetches a sample, and makes the large result that is downloaded.
func (v *victim) prepare(ctx context.Context) error {
	v.http.Timeout = 30 * time.Second
	for i := range victimUsers {
		v.tokens = append(v.tokens, v.server.issuer.token(fmt.Sprint("victim-", i)))
	}
	_, sample, err := v.do(ctx, http.MethodGet, "/csv-samples/telecom", "", nil)
	if err != nil {
		return err
	}
	head, rows, _ := bytes.Cut(sample, []byte("\n"))
	lines := bytes.SplitAfter(rows, []byte("\n"))
	v.file = slices.Concat(head, []byte("\n"), bytes.Join(lines[:min(500, len(lines))], nil))
	big := slices.Concat(head, []byte("\n"))
	for len(big) < 10<<20 {
		big = append(big, rows...)
	}
	big = big[:bytes.LastIndexByte(big, '\n')+1]
	mallory := v.server.issuer.token("mallory")
	status, body, err := v.do(ctx, http.MethodPost, "/upload?model=telecom&filename=big.csv", mallory, big)
	if err != nil || status != http.StatusOK {
		return fmt.Errorf("upload a large file: %d %.200s, %w", status, body, err)
	}
	var made struct {
		ID     string `json:"prediction_id"`
		Status string `json:"status"`
	}
	if err := json.Unmarshal(body, &made); err != nil {
		return err
	}
	v.server.big = made.ID
	for begin := time.Now(); made.Status != "completed"; wait(ctx, time.Second) {
		_, body, err := v.do(ctx, http.MethodGet, "/predictions/"+made.ID, mallory, nil)
		if err != nil {
			return err
		}
		_ = json.Unmarshal(body, &made)
		if ctx.Err() != nil || time.Since(begin) > 3*time.Minute {
			return fmt.Errorf("the large file is %s", made.Status)
		}
	}
	return nil
}

func (v *victim) do(ctx context.Context, method, path, token string, body []byte) (status int, answer []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+v.server.address+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		request.Header.Set("Content-Type", "text/csv")
	}
	response, err := v.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}

// experience is what the victim saw.
type experience struct {
	requests, failures int
	first              string // failure
	took               []time.Duration
}

// watch sends scores, uploads and questions one after the other, as quickly as they are answered but no more than ten a
// second.
func (v *victim) watch(ctx context.Context, span time.Duration) (e experience) {
	for begin := time.Now(); time.Since(begin) < span && ctx.Err() == nil; v.turn++ {
		method, path, body := http.MethodPost, "/score", v.file
		switch v.turn % 3 {
		case 1:
			path = "/upload?model=telecom&filename=v.csv"
		case 2:
			method, path, body = http.MethodGet, "/predictions?limit=5", nil
		}
		started := time.Now()
		status, answer, err := v.do(ctx, method, path, v.tokens[v.turn/3%victimUsers], body)
		took := time.Since(started)
		e.requests++
		e.took = append(e.took, took)
		if err != nil || status != http.StatusOK {
			if e.failures++; e.first == "" {
				text, _, _ := strings.Cut(string(answer), `","details`)
				e.first = fmt.Sprintf("%s %d %s %v", path, status, text, err)
			}
		}
		wait(ctx, 100*time.Millisecond-took)
	}
	return e
}

func (e experience) p95() time.Duration {
	list := slices.Sorted(slices.Values(e.took))
	if len(list) == 0 {
		return time.Hour
	}
	return list[len(list)*95/100]
}
