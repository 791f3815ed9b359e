package auth

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/retainwise/millrace/engine"
)

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A defect in a fetch of signing keys fails that one, and nothing that it started is left.
func TestJWKS_PanicInFetchFailsOneRequest(t *testing.T) {
	var caught *engine.PanicError
	client := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { panic("keys") })}
	keys, err := newKeySet(t.Context(), "http://127.0.0.1/keys", client, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := keys.key(t.Context(), "k1"); !errors.As(err, &caught) || !errors.Is(err, errKeysUnavailable) {
		t.Errorf("signing keys: %v", err)
	}
}
