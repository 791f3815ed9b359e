package duty

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/serve/internal/wire"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/backoff"
)

// WebhookConfig configures webhooks about the ends of predictions. Only the operator sets it: no request names an address.
type WebhookConfig struct {
	URL string // empty disables webhooks
	// Secrets sign every message, each with a signature of its own, so that a receiver can rotate them. Each is "whsec_"
	// and the base64 of 24 to 64 bytes.
	Secrets []string
	// AllowPrivate allows private and loopback addresses, and plain HTTP.
	AllowPrivate bool
}

const (
	webhookTimeout     = 10 * time.Second
	webhookAttemptsMax = 12 // over about 12 hours
	webhookDelayMax    = 2 * time.Hour
	webhookPoll        = time.Second
	webhookBatch       = 5 // so few that all may time out within the minute of their claim
)

// Webhook delivers announcements at least once, as Standard Webhooks specifies: with retries, backoff, and dead letters
// after webhookAttemptsMax attempts.
type Webhook struct {
	target  string
	secrets [][]byte
	client  *http.Client
	store   *store.Announcements
	metrics *metrics.Metrics
	log     *slog.Logger
}

// NewWebhook checks the configuration and returns a sender that does nothing until [Webhook.Run].
func NewWebhook(c WebhookConfig, s *store.Announcements, m *metrics.Metrics, log *slog.Logger) (*Webhook, error) {
	target, err := url.Parse(c.URL)
	switch {
	case err != nil || target.Host == "" || target.User != nil:
		return nil, errors.New("webhook: the URL must be absolute and without credentials")
	case target.Scheme != "https" && (target.Scheme != "http" || !c.AllowPrivate):
		return nil, errors.New("webhook: the URL must be https")
	case len(c.Secrets) == 0:
		return nil, errors.New("webhook: at least one secret is required")
	}
	w := &Webhook{target: c.URL, store: s, metrics: m, log: log}
	for _, secret := range c.Secrets {
		text, ok := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if !ok || err != nil || len(key) < 24 || len(key) > 64 {
			return nil, errors.New("webhook: a secret must be whsec_ and the base64 of 24 to 64 bytes")
		}
		w.secrets = append(w.secrets, key)
	}
	dialer := &net.Dialer{Timeout: webhookTimeout}
	if !c.AllowPrivate {
		dialer.Control = refusePrivate
	}
	w.client = &http.Client{
		Timeout:       webhookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // no proxy: the address that is dialled is the one that was checked
			DialContext: dialer.DialContext, MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
	}
	return w, nil
}

var errPrivateAddress = errors.New("address is not public")

// refusePrivate is the dialer's Control: it checks the resolved address of every connection, so that no DNS name can
// point to a private one (SSRF).
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !publicAddress(at.Addr()) {
		return errPrivateAddress
	}
	return nil
}

// reservedNetworks are global unicast addresses that are reserved, and those that embed or translate other addresses.
var reservedNetworks = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2001::/23"), netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func publicAddress(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range reservedNetworks {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsGlobalUnicast() && !a.IsPrivate() // which leaves out loopback, link-local and multicast
}

// Run delivers announcements until ctx ends.
func (w *Webhook) Run(ctx context.Context) {
	for ctx.Err() == nil {
		if err := w.store.Enable(ctx); err == nil {
			break
		}
		backoff.Pause(ctx, backoff.OutageDelay)
	}
	var counted time.Time
	for ctx.Err() == nil {
		if time.Since(counted) > 15*time.Second {
			w.observeBacklog(ctx)
			counted = time.Now()
		}
		list, err := w.store.Claim(ctx, webhookBatch)
		if err != nil && ctx.Err() == nil {
			w.log.Warn("webhook", "error", err)
		}
		for _, a := range list {
			w.deliver(ctx, a)
		}
		if len(list) == 0 {
			backoff.Pause(ctx, webhookPoll)
		}
	}
}

func (w *Webhook) observeBacklog(ctx context.Context) {
	if lag, dead, err := w.store.Backlog(ctx); err == nil {
		w.metrics.WebhookLag.Set(lag.Seconds())
		w.metrics.WebhookDead.Set(float64(dead))
	}
}

// deliver makes one attempt and records its result. An attempt that the shutdown interrupts is repeated after its claim
// expires.
func (w *Webhook) deliver(ctx context.Context, a store.Announcement) {
	err := fault.Recover(func() error { return w.send(ctx, a) })
	if ctx.Err() != nil && err != nil {
		return
	}
	result := "delivered"
	if err == nil {
		err = w.store.Drop(ctx, a.ID)
	} else {
		dead := a.Attempt >= webhookAttemptsMax
		if result = "failed"; dead {
			result = "dead"
		}
		w.log.Warn("webhook", "prediction_id", a.Prediction, "attempt", a.Attempt, "result", result,
			"error", err.Error())
		err = w.store.Postpone(ctx, a.ID, webhookDelay(a.Attempt), dead)
	}
	w.metrics.Webhooks.WithLabelValues(result).Inc()
	if err != nil && ctx.Err() == nil {
		w.log.Warn("webhook", "error", err)
	}
}

// webhookDelay is an exponential backoff: 5 s after the first attempt, doubled up to webhookDelayMax, of which half is
// jitter.
func webhookDelay(attempt int) time.Duration {
	delay := min(5*time.Second<<min(attempt-1, 20), webhookDelayMax)
	return delay/2 + rand.N(delay/2)
}

// webhookMessage is the body. It has no results: the receiver reads them from the API with a token.
type webhookMessage struct {
	Type      string      `json:"type"`
	Timestamp string      `json:"timestamp"`
	Data      webhookData `json:"data"`
}

type webhookData struct {
	PredictionID string       `json:"prediction_id"`
	Status       store.Status `json:"status"`
	Scored       int64        `json:"scored"`
	Rejected     int64        `json:"rejected"`
}

func (w *Webhook) send(ctx context.Context, a store.Announcement) error {
	body, err := json.Marshal(webhookMessage{
		Type: "prediction." + string(a.Status), Timestamp: wire.TimeText(a.EndedAt),
		Data: webhookData{
			PredictionID: a.Prediction.String(), Status: a.Status, Scored: a.Scored, Rejected: a.Rejected,
		},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	id, now := a.PublicID.String(), strconv.FormatInt(time.Now().Unix(), 10)
	req.Header.Set("Content-Type", fault.TypeJSON)
	req.Header.Set("User-Agent", "millrace")
	req.Header.Set("Webhook-Id", id)
	req.Header.Set("Webhook-Timestamp", now)
	req.Header.Set("Webhook-Signature", w.sign(id, now, body))
	resp, err := w.client.Do(req)
	if err != nil {
		return sendError(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("webhook answered %d", resp.StatusCode)
	}
	return nil
}

// sendError drops the URL from an error of the client, because its path may be a secret.
func sendError(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return fmt.Errorf("webhook: %w", err)
}

// sign returns the Webhook-Signature header: a signature with each secret.
func (w *Webhook) sign(id, timestamp string, body []byte) string {
	var signatures []string
	for _, secret := range w.secrets {
		mac := hmac.New(sha256.New, secret)
		_, _ = fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
		signatures = append(signatures, "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	}
	return strings.Join(signatures, " ")
}
