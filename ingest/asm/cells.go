package main

func numbers()    {}
func categories() {}
