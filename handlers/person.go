package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mqttdoctor/diag"
)

// Person is who is signed in. The zero value is nobody.
type Person struct {
	ID    string // what the provider knows him by, for ever
	Name  string // what people know him by
	Admin bool   // sees all, sets limits
}

// SignedIn tells whether it is somebody.
func (p Person) SignedIn() bool { return p.ID != "" }

type personKey struct{}

// WithPerson notes who sent a request.
func WithPerson(ctx context.Context, p Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// PersonOf is who sent the request whose context it is.
func PersonOf(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}

// SignInWay is how people get in, as far as pages differ by it.
type SignInWay string

// The ways.
const (
	// SignInForm: a page asks for name and password.
	SignInForm SignInWay = "form"
	// SignInProvider: a page leads to the provider, which leads back.
	SignInProvider SignInWay = "provider"
	// SignInProxy: the proxy before this server says who it is.
	SignInProxy SignInWay = "proxy"
)

// SignIn is how people sign in; package web/signin holds the methods. Which person sent a request is in its context before a
// handler sees it. A method is only called where the way has it.
type SignIn interface {
	Way() SignInWay
	// Provider is the name of the provider, for the button; empty: none to show.
	Provider() string
	// Password signs in who knows it, with a new session. Errors: ErrWrongPassword, ErrNotLetIn, *TooManyTries.
	Password(w http.ResponseWriter, r *http.Request, name string, password diag.Secret) error
	// Depart is the provider's address for somebody who wants to go on to next. Errors: ErrProvider.
	Depart(w http.ResponseWriter, r *http.Request, next string) (string, error)
	// Arrive signs in who comes back from the provider, with a new session, and returns where he wanted to go.
	// Errors: ErrProvider, ErrStaleSignIn, ErrDeclined, ErrNotLetIn.
	Arrive(w http.ResponseWriter, r *http.Request) (next string, err error)
	// Leave ends the session.
	Leave(w http.ResponseWriter, r *http.Request) error
	// Elsewhere is where the provider's or proxy's own session ends; empty: there is no such place.
	Elsewhere(r *http.Request) string
}

// Errors of signing in.
var (
	// ErrSignIn: nobody is signed in, and it takes somebody.
	ErrSignIn = errors.New("nobody is signed in")
	// ErrNotAdmin: it takes an administrator.
	ErrNotAdmin = errors.New("not an administrator")
	// ErrWrongPassword: the name is not known, or the password is another one.
	ErrWrongPassword = errors.New("wrong name or password")
	// ErrNotLetIn: the provider knows this person, and the configuration does not let him in.
	ErrNotLetIn = errors.New("person is not let in")
	// ErrProvider: the provider does not answer, or its answer is wrong.
	ErrProvider = errors.New("sign-in provider failed")
	// ErrStaleSignIn: what came back belongs to no sign-in of this browser, or to one of long ago.
	ErrStaleSignIn = errors.New("sign-in is not of this browser, or too old")
	// ErrDeclined: the person, or the provider, did not want to.
	ErrDeclined = errors.New("sign-in was declined at the provider")
)

// TooManyTries says that this client has given wrong passwords too often.
type TooManyTries struct{ RetryAfter time.Duration }

func (e *TooManyTries) Error() string {
	return fmt.Sprintf("too many wrong passwords, again in %s", e.RetryAfter)
}
