package servetest

import (
	"context"
	"net"
	"testing"

	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/metrics"
	"github.com/retainwise/millrace/store"
)

// Admin serves the operators' listener for a database until the test ends, and returns its base URL.
func Admin(t testing.TB, s *store.Store) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := admin.NewServer(admin.Parts{Store: s, Metrics: metrics.NewMetrics()})
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String()
}
