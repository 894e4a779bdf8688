/* Stand-in for the header of macOS: what the C parts of our libraries ask about the host that they are compiled for. */
#pragma once

#define TARGET_OS_MAC 1
#define TARGET_OS_OSX 1
#define TARGET_OS_IPHONE 0
#define TARGET_OS_SIMULATOR 0
