package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"
)

const issuerName = "chaos"

// issuer is the identity provider of the run: every file is another user's, so that no limit per user is in the way.
type issuer struct {
	key    *rsa.PrivateKey
	server *http.Server
	url    string
}

func startIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	keys := fmt.Sprintf(`{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"1","n":%q,"e":%q}]}`,
		base64.RawURLEncoding.EncodeToString(key.N.Bytes()),
		base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes()))
	server := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(keys))
		}),
	}
	go func() { _ = server.Serve(l) }() // ends with Close
	return &issuer{key: key, server: server, url: "http://" + l.Addr().String()}, nil
}

// token is a user's.
func (i *issuer) token(user string) string {
	now := time.Now().Unix()
	claims, _ := json.Marshal(map[string]any{ // plain values always encode
		"iss": issuerName, "sub": user, "sid": "1", "iat": now, "exp": now + 24*3600,
	})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","typ":"JWT","kid":"1"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, i.key, crypto.SHA256, sum[:])
	if err != nil {
		panic(err) // the key was made above
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}
