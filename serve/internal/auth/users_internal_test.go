package auth

import (
	"fmt"
	"testing"

	"github.com/retainwise/millrace/store"
)

func TestUserCache_Bounded(t *testing.T) {
	c := NewUserCache(nil)
	for i := range usersKnownMax + 5 {
		c.remember(fmt.Sprint(i), store.User{ID: int64(i)})
	}
	if n := len(c.known); n != usersKnownMax {
		t.Errorf("%d users remembered", n)
	}
}
