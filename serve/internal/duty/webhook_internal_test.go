package duty

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

var (
	earlierSecret = "whsec_" + base64.StdEncoding.EncodeToString([]byte("an older secret of some length"))
	latestSecret  = "whsec_" + base64.StdEncoding.EncodeToString([]byte("the newer secret, as long as it"))
)

// receiver is a customer's server: it answers with the statuses given, then with 204.
type receiver struct {
	mu       sync.Mutex
	statuses []int
	got      []*http.Request
	bodies   []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.bodies = append(r.got, req), append(r.bodies, string(body))
	status := http.StatusNoContent
	if len(r.statuses) > 0 {
		status, r.statuses = r.statuses[0], r.statuses[1:]
	}
	if status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(status)
}

func (r *receiver) seen() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// sender sends to a receiver, signed with secrets, what the store has kept since.
func sender(t *testing.T, s *store.Store, r *receiver, secrets ...string) *Webhook {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	w, err := NewWebhook(WebhookConfig{URL: server.URL + "/hook", Secrets: secrets, AllowPrivate: true}, s.Announcements, metrics.NewMetrics(),
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Announcements.Enable(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// cancelled makes a prediction and ends it.
func cancelled(t *testing.T, s *store.Store) store.Prediction {
	t.Helper()
	return cancelledWith(t, s, "{}")
}

func cancelledWith(t *testing.T, s *store.Store, options string) store.Prediction {
	t.Helper()
	user, err := s.Accounts.EnsureUser(t.Context(), "owner")
	if err != nil {
		t.Fatal(err)
	}
	id := store.NewID()
	p, err := s.Predictions.CreateUpload(t.Context(), store.NewUpload{
		ID: id, UserID: user.ID, ObjectKey: objects.InputKey(id), Filename: "a.csv", Bytes: 10, Rows: 1,
		Options: json.RawMessage(options),
		Header:  store.Header{Columns: []string{"a"}, Delimiter: ',', Bytes: 2, Lines: 1},
		Parts:   []store.Part{{Planned: true, Offset: 2, Bytes: 8, FirstRow: 1, FirstLine: 2, Rows: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = s.Predictions.Cancel(t.Context(), user.ID, p.ID); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWebhook(t *testing.T) {
	s := storetest.Open(t, store.Config{})
	cancelled(t, s) // before webhooks are enabled
	r := &receiver{statuses: []int{500, http.StatusFound}}
	w := sender(t, s, r, latestSecret, earlierSecret)
	p := cancelled(t, s)
	cancelledWith(t, s, `{"internal":true}`) // internal predictions are not announced
	if lag, dead, err := s.Announcements.Backlog(t.Context()); lag <= 0 || dead != 0 || err != nil {
		t.Errorf("lag %v, %d dead: %v", lag, dead, err)
	}
	for attempt := 1; attempt <= 3; attempt++ {
		list, err := s.Announcements.Claim(t.Context(), 10)
		if err != nil || len(list) != 1 || list[0].Prediction != p.ID || list[0].Attempt != attempt {
			t.Fatalf("attempt %d: %+v, %v", attempt, list, err)
		}
		if again, err := s.Announcements.Claim(t.Context(), 10); len(again) != 0 || err != nil {
			t.Fatalf("claimed twice: %v, %v", again, err)
		}
		w.deliver(t.Context(), list[0])
		if err := s.Announcements.Postpone(t.Context(), list[0].ID, 0, false); err != nil { // do not wait for the delay
			t.Fatal(err)
		}
	}
	if list, err := s.Announcements.Claim(t.Context(), 10); len(list) != 0 || err != nil || r.seen() != 3 {
		t.Fatalf("%d left after %d attempts: %v", len(list), r.seen(), err)
	}
	for i, req := range r.got {
		if req.URL.Path != "/hook" || req.Header.Get("Webhook-Id") != r.got[0].Header.Get("Webhook-Id") {
			t.Errorf("attempt %d: %s %v", i, req.URL, req.Header)
		}
		verify(t, req, r.bodies[i])
	}
	var m webhookMessage
	if err := json.Unmarshal([]byte(r.bodies[0]), &m); err != nil || m.Type != "prediction.cancelled" ||
		m.Data.PredictionID != p.ID.String() || m.Data.Status != store.Cancelled || strings.Contains(r.bodies[0], "owner") {
		t.Errorf("message %s: %v", r.bodies[0], err)
	}
}

// verify does what a receiver does with either secret.
func verify(t *testing.T, req *http.Request, body string) {
	t.Helper()
	signatures := strings.Fields(req.Header.Get("Webhook-Signature"))
	for i, secret := range []string{latestSecret, earlierSecret} {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		mac := hmac.New(sha256.New, key)
		_, _ = io.WriteString(mac, req.Header.Get("Webhook-Id")+"."+req.Header.Get("Webhook-Timestamp")+"."+body)
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); len(signatures) != 2 || signatures[i] != want {
			t.Errorf("signatures %v, want %s", signatures, want)
		}
	}
}

func TestWebhook_DeadLetterAfterMaxAttempts(t *testing.T) {
	s := storetest.Open(t, store.Config{})
	r := &receiver{statuses: []int{500}}
	w := sender(t, s, r, latestSecret)
	cancelled(t, s)
	list, err := s.Announcements.Claim(t.Context(), 10)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	list[0].Attempt = webhookAttemptsMax
	w.deliver(t.Context(), list[0])
	if _, dead, err := s.Announcements.Backlog(t.Context()); dead != 1 || err != nil {
		t.Errorf("%d dead: %v", dead, err)
	}
	if list, err := s.Announcements.Claim(t.Context(), 10); len(list) != 0 || err != nil {
		t.Errorf("a dead letter is sent: %v %v", list, err)
	}
	operators := &admin.Admin{Parts: admin.Parts{Store: s}}
	for _, want := range []int{1, 0} {
		answer, err := operators.RetryWebhooks(httptest.NewRequest(http.MethodPost, "/webhooks/retry", nil))
		if got, ok := answer.(map[string]int); err != nil || !ok || got["webhooks"] != want {
			t.Errorf("%v, %v, want %d", answer, err, want)
		}
	}
	again, err := s.Announcements.Claim(t.Context(), 10)
	if err != nil || len(again) != 1 || again[0].PublicID != list[0].PublicID || again[0].Attempt != 1 {
		t.Fatalf("%+v, %v", again, err)
	}
	w.deliver(t.Context(), again[0])
	if lag, dead, err := s.Announcements.Backlog(t.Context()); lag != 0 || dead != 0 || err != nil || r.seen() != 2 {
		t.Errorf("%v, %d dead after %d attempts: %v", lag, dead, r.seen(), err)
	}
}

// TestWebhook_Run runs the sender as a process does.
func TestWebhook_Run(t *testing.T) {
	s := storetest.Open(t, store.Config{})
	r := &receiver{}
	w := sender(t, s, r, latestSecret)
	cancelled(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Run(ctx)
	}()
	for deadline := time.Now().Add(time.Minute); r.seen() == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	<-done
	if r.seen() != 1 {
		t.Errorf("%d messages", r.seen())
	}
}

// A worker has sent all announcements that it has claimed, or postponed them, before their claim expires.
func TestWebhook_BatchFitsClaim(t *testing.T) {
	if longest := webhookBatch * webhookTimeout; longest >= time.Minute {
		t.Errorf("the last of a batch may be sent %s after its claim", longest)
	}
}

func TestWebhook_RefusesPrivateAddresses(t *testing.T) {
	server := httptest.NewTLSServer(&receiver{})
	defer server.Close()
	w, err := NewWebhook(WebhookConfig{URL: server.URL, Secrets: []string{latestSecret}}, nil, metrics.NewMetrics(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.send(t.Context(), store.Announcement{}); !errors.Is(err, errPrivateAddress) ||
		strings.Contains(err.Error(), "127.0.0.1") && !strings.Contains(err.Error(), "dial") {
		t.Errorf("got %v", err)
	}
	for address, public := range map[string]bool{
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false,
		"169.254.169.254": false, "fd00:ec2::254": false, "fe80::1": false, "0.0.0.0": false, "::": false,
		"::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false, "64:ff9b::7f00:1": false, "100.100.100.200": false,
		"2002:7f00:1::": false, "224.0.0.1": false, "ff02::1": false, "255.255.255.255": false, "fe80::1%eth0": false,
		"1.1.1.1": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
	} {
		at := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
		if err := refusePrivate("tcp", at, nil); (err == nil) != public {
			t.Errorf("%s: %v", at, err)
		}
	}
}

func TestWebhookConfig(t *testing.T) {
	for name, c := range map[string]WebhookConfig{
		"no URL":      {URL: "hook", Secrets: []string{latestSecret}},
		"credentials": {URL: "https://a:b@example.com", Secrets: []string{latestSecret}},
		"http":        {URL: "http://example.com", Secrets: []string{latestSecret}},
		"no secret":   {URL: "https://example.com"},
		"plain":       {URL: "https://example.com", Secrets: []string{"secret"}},
		"short":       {URL: "https://example.com", Secrets: []string{"whsec_c2hvcnQ="}},
	} {
		if _, err := NewWebhook(c, nil, nil, nil); err == nil {
			t.Errorf("%s was taken", name)
		} else if strings.Contains(err.Error(), latestSecret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
