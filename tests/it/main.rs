//! What the whole program promises, in one test binary: a folder per promise would link the program once more each.

mod floors;
