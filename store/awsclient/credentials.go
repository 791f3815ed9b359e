package awsclient

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/middleware"
)

// renewInterval is the least time between two reads of refused credentials: a service that refuses one object only must
// not make every call read files or request a new session.
const renewInterval = 3 * time.Second

// renewedCredentials are the credentials of AWS's usual places. The SDK reads files once; here they are read again
// after a service refused a call, so that a key renewed on disk is used without a restart. Safe for concurrent use.
type renewedCredentials struct {
	load func(context.Context) (aws.CredentialsProvider, error)

	mu      sync.Mutex
	current aws.CredentialsProvider
	read    time.Time
	refused bool // since they were read
}

// newRenewedCredentials starts with credentials that were read just now; load reads them again.
func newRenewedCredentials(
	now aws.CredentialsProvider, load func(context.Context) (aws.CredentialsProvider, error),
) *renewedCredentials {
	return &renewedCredentials{load: load, current: now, read: time.Now()}
}

// Retrieve implements [aws.CredentialsProvider].
func (r *renewedCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	return r.provider(ctx).Retrieve(ctx)
}

// provider reads refused credentials again. If that fails, as of a file that is being written, the old ones stay until
// the next time.
func (r *renewedCredentials) provider(ctx context.Context) aws.CredentialsProvider {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.refused && time.Since(r.read) >= renewInterval {
		r.read = time.Now()
		if fresh, err := r.load(ctx); err == nil && fresh != nil {
			r.current, r.refused = fresh, false
		}
	}
	return r.current
}

// markRefused records that a service refused the credentials, or perhaps only the request.
func (r *renewedCredentials) markRefused() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = true
}

// watch calls markRefused after calls that other credentials may mend.
func (r *renewedCredentials) watch(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("RenewCredentials", func(
		ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
	) (middleware.InitializeOutput, middleware.Metadata, error) {
		out, metadata, err := next.HandleInitialize(ctx, in)
		if isCredentialError(err) {
			r.markRefused()
		}
		return out, metadata, err
	}), middleware.Before)
}

// isCredentialError reports whether other credentials may help: the service refused these, or there were none.
func isCredentialError(err error) bool {
	switch Status(err) {
	case http.StatusUnauthorized, http.StatusForbidden:
		return true
	case 0:
		return err != nil && !errors.Is(err, context.Canceled)
	}
	switch Code(err) {
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", "InvalidClientTokenId",
		"UnrecognizedClientException", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return true
	}
	return false
}

// UncachedSigner signs requests, deriving the key of each signature anew. The SDK's own signer keeps derived keys by
// the access key's id, and would go on signing with a secret that was replaced under the same id.
type UncachedSigner struct{ PlainPaths bool } // as S3 wants them

// SignHTTP implements the signers of the SDK's services.
func (f UncachedSigner) SignHTTP(
	ctx context.Context, credentials aws.Credentials, r *http.Request, payloadHash, service, region string, at time.Time,
	options ...func(*v4.SignerOptions),
) error {
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = f.PlainPaths })
	return signer.SignHTTP(ctx, credentials, r, payloadHash, service, region, at, options...)
}
