package api

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// commonHeaders sets the headers of every answer: request id, no sniffing, no shared caching, and CORS.
func (s *server) commonHeaders(r *request) {
	r.set("X-Request-Id", r.id)
	r.set("X-Content-Type-Options", "nosniff")
	r.set("Cache-Control", cacheRevalidate)
	if s.HSTS > 0 {
		r.set("Strict-Transport-Security", fmt.Sprintf("max-age=%d", int64(s.HSTS/time.Second)))
	}
	r.set("Vary", "Authorization, Accept, Accept-Encoding, Origin")
	origin := r.header("Origin")
	if origin == "" || !slices.Contains(s.Origins, origin) {
		return
	}
	r.set("Access-Control-Allow-Origin", origin)
	r.set("Access-Control-Allow-Credentials", "true") // never with a wildcard: origins are compared exactly
	r.set("Access-Control-Expose-Headers",
		"Content-Disposition, Csv-Guard, ETag, Idempotent-Replayed, Location, RateLimit, RateLimit-Policy, Repr-Digest, "+
			"Retry-After, X-Model, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Rejected-Count, X-Request-Id, "+
			"X-Row-Count")
}

// answerOptions answers OPTIONS, including CORS preflights.
func answerOptions(s *server, r *request) error {
	if origin := r.header("Origin"); slices.Contains(s.Origins, origin) &&
		r.header("Access-Control-Request-Method") != "" {
		r.set("Access-Control-Allow-Methods", string(r.rc.Response.Header.Peek("Allow")))
		r.set("Access-Control-Allow-Headers",
			"Authorization, Content-Digest, Content-Type, Content-Encoding, Idempotency-Key, If-None-Match, Last-Event-ID, "+
				"Prefer, Range, X-Request-Id")
		r.set("Access-Control-Max-Age", "600")
	}
	statusOnly(r, http.StatusNoContent)
	return nil
}
