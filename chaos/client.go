package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// client is a customer who sends a file again until it is accepted, as the documentation asks.
type client struct {
	api, admin string
	issuer     *issuer
	http       http.Client
	notes      *notes
}

func newClient(api, admin string, i *issuer, n *notes) *client {
	return &client{api: api, admin: admin, issuer: i, notes: n, http: http.Client{Timeout: 20 * time.Second}}
}

// retryPause is shorter than a real client's, so that a cut is met more often.
const retryPause = 300 * time.Millisecond

// upload returns the prediction's id when the file has been accepted.
func (c *client) upload(ctx context.Context, name, model string, in *input) (id string, err error) {
	token := c.issuer.token(name)
	for ctx.Err() == nil {
		status, body, err := c.do(ctx, http.MethodPost, c.api+"/upload?model="+model+"&allow_rejects=true&filename="+name+
			"&explain="+in.explain, token, name, in.CSV)
		switch {
		case err != nil:
			c.notes.add("upload answered with nothing")
		case status/100 == 2:
			var accepted struct {
				ID string `json:"prediction_id"`
			}
			if err := json.Unmarshal(body, &accepted); err != nil || accepted.ID == "" {
				return "", fmt.Errorf("upload: %d %s", status, body)
			}
			return accepted.ID, nil
		case status >= 500 || status == http.StatusTooManyRequests || status == http.StatusConflict:
			c.notes.add(fmt.Sprint("upload answered with ", status))
		default:
			return "", fmt.Errorf("upload: %d %s", status, body)
		}
		wait(ctx, retryPause)
	}
	return "", ctx.Err()
}

// remove does what a customer does with a prediction, until it is answered.
func (c *client) remove(ctx context.Context, user, id string) (status int, err error) {
	for ctx.Err() == nil {
		status, body, err := c.do(ctx, http.MethodDelete, c.api+"/predictions/"+id, c.issuer.token(user), user, nil)
		switch {
		case err != nil || status >= 500 || status == http.StatusTooManyRequests:
			wait(ctx, retryPause)
		case status/100 == 2:
			return status, nil
		default:
			return status, fmt.Errorf("delete %s: %d %s", id, status, body)
		}
	}
	return 0, ctx.Err()
}

func (c *client) do(
	ctx context.Context, method, url, token, key string, body []byte,
) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Millrace-Operator", "yes") // for what the admin listener changes
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "text/csv")
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}
