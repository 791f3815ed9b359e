package serve

import (
	"io"
	"log/slog"
	"net/netip"

	"github.com/retainwise/millrace/serve/codes"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/duty"
	"github.com/retainwise/millrace/serve/internal/limit"
	"github.com/retainwise/millrace/serve/internal/logging"
	"github.com/retainwise/millrace/serve/internal/place"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/serve/internal/work"
)

// The parts of [RunConfig], each declared in the package that reads it.
type (
	Config        = api.Config
	AuthConfig    = auth.Config
	RateLimits    = limit.Rates
	PlaceConfig   = place.Config
	WebhookConfig = duty.WebhookConfig
	WorkerConfig  = work.Config
)

// DevelopmentIssuer signs the tokens of an installation without an identity provider.
type DevelopmentIssuer = auth.DevelopmentIssuer

// NewDevelopmentIssuer reads the signing key from a data directory, or creates it there.
func NewDevelopmentIssuer(dir string) (*DevelopmentIssuer, error) {
	return auth.NewDevelopmentIssuer(dir)
}

// NewLogger returns a logger that writes JSON lines, drops attributes whose keys are not allowed and truncates long
// values.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger { return logging.NewLogger(w, level) }

// ErrorLine formats an error as one line for a terminal: the published code and a sentence. Unlike an answer of the API it
// may name files and internals.
func ErrorLine(err error) string { return storefault.ErrorLine(err) }

// ErrorPage is what is published of an error code: its title, message and advice.
type ErrorPage = codes.Page

// CodeOf returns the published code of an error, "ERR-1004"; "ERR-1500" for an error that has none.
func CodeOf(err error) string { return storefault.CodeOf(err).String() }

// ErrorPageOf returns what is published of a code, written as "ERR-1004" or "1004"; false if there is no such code.
func ErrorPageOf(code string) (ErrorPage, bool) { return codes.PageOf(code) }

// ErrorPages returns what is published of all codes, ascending.
func ErrorPages() []ErrorPage { return codes.Pages() }

// ParseNetworks reads networks written as "10.0.0.0/8", or single addresses.
func ParseNetworks(texts []string) ([]netip.Prefix, error) { return api.ParseNetworks(texts) }

// DefaultRateLimits returns the published rate limits.
func DefaultRateLimits() RateLimits { return limit.DefaultRates() }
