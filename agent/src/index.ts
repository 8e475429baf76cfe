// What other packages import.
export {};
