package portolan

// Principal is who makes a call: the account itself or one of its users.
type Principal struct {
	AccountID   int64
	AccessKeyID string
	// UserID and UserName are zero for the account's root.
	UserID   int64
	UserName string
}

// Root reports whether the principal is the account itself.
func (p Principal) Root() bool { return p.UserID == 0 }
