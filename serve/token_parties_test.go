package serve_test

import (
	"testing"

	"github.com/retainwise/millrace/serve/internal/auth"
)

// Which tokens a verifier takes by the application they were made for and by their session, which tokens of Clerk's
// templates do not have.
func TestB2TokensByApplicationAndSession(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	const ours, other = "https://a.example", "https://other.example"
	for name, test := range map[string]struct {
		parties     []string
		session     bool
		claim       string
		value, want any
	}{
		"any application where none is named": {nil, false, "azp", other, "user_1"},
		"one of those named":                  {[]string{"https://b.example", ours}, false, "azp", ours, "user_1"},
		"not one of those named":              {[]string{"https://b.example", ours}, false, "azp", other, "ERR-1201"},
		"the name in capitals":                {[]string{ours}, false, "azp", "https://A.example", "ERR-1201"},
		"no application":                      {[]string{ours}, false, "azp", nil, "user_1"},
		"empty application":                   {[]string{ours}, false, "azp", "", "user_1"},
		"application that is no text":         {nil, false, "azp", 7, "ERR-1201"},
		"no session":                          {nil, false, "sid", nil, "user_1"},
		"no session where one is required":    {nil, true, "sid", nil, "ERR-1201"},
		"empty session where one is required": {nil, true, "sid", "", "ERR-1201"},
		"session where one is required":       {nil, true, "sid", "sess_2", "user_1"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVerifier(t, is, c, func(cfg *auth.Config) {
				cfg.Parties, cfg.RequireSession = test.parties, test.session
			})
			token := signRS256(keyPair(), goodHeader, with(goodClaims(c), test.claim, test.value))
			if got := codeOf(v, "Bearer "+token); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
